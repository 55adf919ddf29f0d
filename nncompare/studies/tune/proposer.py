"""``python -m nncompare.studies.tune.proposer --wire N``: proposes trials in a process of its own.

Optuna's Gaussian process computes with PyTorch, and neither the parent nor the worker of another
framework may import that. So this process opens the same storage and fills the trials that the
parent has taken; nothing else happens here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from nncompare.errors import Failed, MessageError, Refused
from nncompare.launch.process import WorkerProcess
from nncompare.spec.runtimes import CATALOG
from nncompare.spec.tune import Tune
from nncompare.studies.tune import samplers
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.storage import JOURNAL, open_database, open_journal
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.wire.connection import Wire, die_with_parent, worker_end
from nncompare.wire.messages import OpenStudy, ParentWord, Propose, Proposed

NEEDS_A_FRAMEWORK = {"gp": "torch"}
"""Sampler -> the framework that it computes with."""


def missing_framework(tune: Tune) -> str | None:
    """Why the search's sampler cannot compute here, with the command that mends it; None if it can.
    Nothing is imported.
    """
    needed = NEEDS_A_FRAMEWORK.get(tune.sampler)
    if needed is None or importlib.util.find_spec(needed) is not None:
        return None
    return (
        f"sampler {tune.sampler} needs {needed}, not installed; pip install"
        f" {CATALOG[needed].requirements}"
    )


class Proposer:
    """The parent's end. Started at the first trial.

    Args:
        plan: names the sampler, and the storage.

    Raises:
        Refused: what the sampler needs is not installed.
    """

    def __init__(self, plan: SearchPlan):
        tune = plan.tune
        # Said at once, and not by the first trial's traceback.
        missing = missing_framework(tune)
        if missing is not None:
            raise Refused(missing)
        # One thread: its matrices are small, and the trials need the processors.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
        # The same nncompare as here, whether it is installed or not.
        paths = [str(Path(__file__).resolve().parents[3]), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        command = [sys.executable, "-m", "nncompare.studies.tune.proposer"]
        self._process = WorkerProcess(command, environment, plan.logs / "proposer.log")
        opened = OpenStudy(
            journal=str(plan.folder / JOURNAL),
            url=plan.options.storage,
            tune=tune.model_dump(mode="json"),
        )
        self._process.send(opened)

    def propose(self, study: StoredStudy, tune: Tune, number: int) -> dict[str, Any]:
        """As ``samplers.propose``.

        Raises:
            Failed: the process died or the sampler raised an error.
        """
        self._process.send(Propose(study=study.name, trial=number))
        message = self._process.receive()
        if not isinstance(message, Proposed):
            raise MessageError(f"sampler {tune.sampler}: its process said {message.kind!r}")
        if message.error is not None:
            raise Failed(f"sampler {tune.sampler}: {message.error}")
        # Read back, since a message carries no infinity and no tuple.
        return dict(study.trial(number).params)

    def close(self) -> None:
        """Ends the process."""
        self._process.close()


def _serve(wire: Wire[ParentWord]) -> None:
    """Proposes trials until the parent leaves.

    Raises:
        MessageError: the parent says something else.
        EOFError, OSError: the parent has gone.
    """
    opened = wire.receive()
    if not isinstance(opened, OpenStudy):
        raise MessageError(f"a study was expected, not {opened.kind!r}")
    tune = Tune.model_validate_json(json.dumps(opened.tune))
    if opened.url is not None:
        storage = open_database(opened.url)
    else:
        storage = open_journal(Path(opened.journal))
    while True:
        word = wire.receive()
        if not isinstance(word, Propose):
            raise MessageError(f"a trial to propose was expected, not {word.kind!r}")
        try:
            samplers.propose(StoredStudy(storage, word.study), tune, word.trial)
        except Exception as error:
            # The sampler's failure ends this search, and not this process.
            traceback.print_exc()
            wire.send(Proposed(error=f"{type(error).__name__}: {error}"))
        else:
            wire.send(Proposed())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wire", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    wire = worker_end(arguments.wire)
    try:
        _serve(wire)
    except MessageError as error:
        wire.send(Proposed(error=str(error)))
    except (EOFError, OSError):
        os._exit(0)  # the parent has gone


if __name__ == "__main__":
    main()
