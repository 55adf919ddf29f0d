"""``python -m tests.native.worker torch FILE``: the one process that holds the framework; writes
what it found.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nncompare.backends import native
from nncompare.backends.base import Params
from nncompare.spec.job import Job
from nncompare.spec.runtimes import CATALOG
from nncompare.testing.case import Case
from nncompare.worker.pieces import FixedGate, pieces_of
from tests.native.cases import LARGE, NETWORKS


def opened(backend: Any, case: Case, runtime: str) -> tuple[Any, Job]:
    """A session as a run opens it, with the weights that a training starts from; its resolved
    job.
    """
    asked = replace(case.job(runtime), deterministic=False, dropout="framework")
    job = backend.resolve(asked)
    session = backend.open(job, case.data)
    session.load(native.start(job))
    return session, job


def compare(backend: Any, case: Case, runtime: str) -> dict[str, Any]:
    """What a session and its twin find."""
    twin = importlib.import_module(f"tests.native.{runtime}_twin")
    session, job = opened(backend, case, runtime)
    plan = case.plan(job)
    theirs = twin.train(case, plan, job.seed, session.params())
    gate = FixedGate(pieces_of(plan, 1))
    session.train(plan, gate)
    logits = session.predict(case.data.test.x)
    session.close()
    return {"ours": {"losses": gate.losses, "logits": logits.tolist()}, "twin": theirs}


def figures(params: Params, job: Job) -> dict[str, Any]:
    """Initial weights in figures.

    Returns:
        Parameter -> its kind as the ledger writes it (``lstm.bias``), its shape, and of its values
        the largest, the standard deviation, the distance from orthogonal rows where it can have
        them, and themselves if they are few.
    """
    kinds = {node.name: node.layer.type for node in job.model.walk()}
    found = {}
    for name, value in params.items():
        node, _, parameter = name.partition(".")
        if "running" in parameter:
            continue
        figure = {
            "kind": f"{kinds[node]}.{parameter}",
            "shape": value.shape,
            "largest": np.abs(value).max(),
            "deviation": value.std(),
        }
        if value.ndim == 1:
            figure["values"] = value.tolist()
        if value.ndim == 2 and value.shape[0] <= value.shape[1]:
            gram = value @ value.T
            figure["not orthogonal"] = np.abs(gram - np.eye(len(gram))).max()
        found[name] = figure
    return found


def main(runtime: str, file: str) -> None:
    os.environ.update(CATALOG[runtime].environment)
    backend = importlib.import_module(CATALOG[runtime].module).BACKEND
    found: dict[str, Any] = {"defaults": backend.defaults}
    for name, case in NETWORKS.items():
        found[name] = compare(backend, case, runtime)
    for name, case in LARGE.items():
        session, job = opened(backend, case, runtime)
        found[name] = {"settings": session.settings(), "figures": figures(session.params(), job)}
        session.close()
    Path(file).write_text(json.dumps(found, default=float))


if __name__ == "__main__":
    main(*sys.argv[1:])
