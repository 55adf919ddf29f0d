"""Puts one backend through the check, unbroken and with every error: ``python -m
tests.mutations.worker torch OUT``.

One process for all, since importing a framework takes longer than a check. Writes
``OUT/<id>/<dtype>/`` with the observation, or ``error.txt`` with what the backend raised.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType

from nncompare.numerics.parity import parity_plan
from nncompare.spec.runtimes import CATALOG
from nncompare.studies.verify.aligned import Convention
from nncompare.wire import declaration
from nncompare.worker.observe import observe, observe_dropout
from tests.mutations.catalog import MUTATIONS, chosen
from tests.mutations.experiments import STEPS, parity
from tests.mutations.mutation import Mutation
from tests.mutations.patching import patched

ERROR_FILE = "error.txt"


def unbroken(experiment: str, convention: str = "aligned") -> str:
    """The folder of an experiment's unbroken observation."""
    return f"unbroken-{experiment}-{convention}"


def watch(
    package: ModuleType,
    backend: str,
    experiment: str,
    convention: Convention,
    dtype: str,
    folder: Path,
) -> None:
    """One observation, as ``nncompare.worker.observe.check`` makes it."""
    check = parity(experiment)
    job, data = check.job(backend, dtype, convention), check.contexts[dtype].data
    folder.mkdir(parents=True, exist_ok=True)
    try:
        job = package.BACKEND.resolve(job)
        declaration.write(folder, job, package.BACKEND.semantics(job))
        session = package.BACKEND.open(job, data)
        try:
            plan = parity_plan(job.experiment.train, len(data.train), job.seed, STEPS)
            seen = observe(session, job, data, plan, lambda _: None)
        finally:
            session.close()
        observe_dropout(package.BACKEND, job, data, plan, seen)
        seen.save(folder)
    except Exception:
        (folder / ERROR_FILE).write_text(traceback.format_exc(), encoding="utf-8")


def run(backend: str, mutations: list[Mutation], out: Path) -> None:
    module = CATALOG[backend].module
    mine = [mutation for mutation in mutations if mutation.backend == backend]
    # the unbroken ones first: no error may leave anything behind for them
    needed = dict.fromkeys((mutation.experiment, mutation.convention) for mutation in mutations)
    for experiment, convention in needed:
        dtypes = {
            dtype
            for mutation in mutations
            if (mutation.experiment, mutation.convention) == (experiment, convention)
            for dtype in mutation.dtypes
        }
        for dtype in sorted(dtypes, reverse=True):
            begun = time.perf_counter()
            package = importlib.import_module(module)
            folder = out / unbroken(experiment, convention) / dtype
            watch(package, backend, experiment, convention, dtype, folder)
            print(f"{time.perf_counter() - begun:6.2f} s  {experiment} {dtype}", flush=True)
    for mutation in mine:
        begun = time.perf_counter()
        for dtype in mutation.dtypes:
            folder = out / mutation.id / dtype
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with patched(module, mutation.patches) as package:
                    watch(package, backend, mutation.experiment, mutation.convention, dtype, folder)
            except Exception:
                (folder / ERROR_FILE).write_text(traceback.format_exc(), encoding="utf-8")
        print(f"{time.perf_counter() - begun:6.2f} s  {mutation.name}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backend", choices=sorted({mutation.backend for mutation in MUTATIONS}))
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--only", nargs="*", default=[], help="errors whose name contains one of these"
    )
    asked = parser.parse_args()
    importlib.import_module(CATALOG[asked.backend].module)
    # a session that collects garbage when it closes need not look at a whole framework each time
    gc.freeze()
    run(asked.backend, chosen(asked.only), asked.out / asked.backend)
    return 0


if __name__ == "__main__":
    sys.exit(main())
