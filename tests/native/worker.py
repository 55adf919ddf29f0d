"""``python -m tests.native.worker torch FILE``: the one process that holds the framework; writes
what each probe found.

Every case is trained twice: by the native session, and by a twin in plain framework code.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nncompare.backends import native
from nncompare.numerics.schedules import make_plan
from nncompare.spec.job import Job
from nncompare.spec.runtimes import CATALOG
from nncompare.testing.case import Case
from nncompare.worker.pieces import FixedGate, pieces_of
from tests.native import probes
from tests.native.cases import CASES


def opened(backend: Any, case: Case, runtime: str, **changes: Any) -> tuple[Any, Job]:
    """A session that a training starts from, and its resolved job."""
    changed = {"deterministic": False, "dropout": "framework", **changes}
    job = backend.resolve(replace(case.job(runtime), **changed))
    session = backend.open(job, case.data)
    session.load(native.start(job))
    return session, job


def compare(backend: Any, case: Case, runtime: str) -> dict[str, Any]:
    """What the session and its twin find, of one case."""
    twin = importlib.import_module(f"tests.native.{runtime}_twin")
    session, job = opened(backend, case, runtime)
    plan = make_plan(job.experiment.train, case.examples, job.seed)
    theirs = twin.train(case, job, plan, native.start(job), session)
    gate = FixedGate(pieces_of(plan, 1))
    count = native.trained_count(job, session.params())
    session.train(plan, gate)
    logits = session.predict(case.data.test.x)
    session.close()
    return {
        "ours": {"losses": gate.losses, "logits": logits.tolist(), "parameters": count},
        "twin": theirs,
    }


def main(runtime: str, file: str) -> None:
    os.environ.update(CATALOG[runtime].environment)
    backend = importlib.import_module(CATALOG[runtime].module).BACKEND
    work = {name: lambda case=case: compare(backend, case, runtime) for name, case in CASES.items()}

    def open_here(case: Case, **changes: Any) -> tuple[Any, Job]:
        return opened(backend, case, runtime, **changes)

    work |= {
        name: lambda ask=ask: ask(backend, runtime, open_here)
        for name, ask in probes.PROBES.items()
    }
    found = {}
    for name, function in work.items():
        try:
            found[name] = {"value": function()}
        except Exception:
            found[name] = {"error": traceback.format_exc()}
    Path(file).write_text(json.dumps(found, default=float))


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main(*sys.argv[1:])
