"""The result folder of a search. It stands in its place from the start, so that it can be resumed
after anything.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nncompare.errors import StoreError
from nncompare.records.atomic import explained, write_text
from nncompare.records.folder import RESULT_FILE
from nncompare.records.record import to_json
from nncompare.studies.tune.record import TuneRecord, all_keys
from nncompare.studies.tune.storage import HELD

EXPERIMENT, BEST, TRIALS, REPORT = "experiment.yaml", "best.yaml", "trials.csv", "report.html"


def write(folder: Path, result: TuneRecord) -> None:
    """``result.json`` and ``trials.csv``, each whole or not at all."""
    write_text(folder / RESULT_FILE, to_json(result))
    write_text(folder / TRIALS, trials_text(result))


def trials_text(result: TuneRecord) -> str:
    """``trials.csv``: one line a trial; an unknown figure is an empty field."""
    params = all_keys(trial.params for trial in result.trials)
    metrics = all_keys(trial.metrics for trial in result.trials)
    head = ["runtime", "number", "state", "status", "reason"]
    head += [f"value.{goal.name}" for goal in result.goals]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*head, *params, "seconds", "epochs", *metrics])
    for trial in result.trials:
        cells: list[Any] = [trial.runtime, trial.number, trial.state, trial.status, trial.reason]
        # A trial that failed has no values at all.
        cells += trial.values or [None] * len(result.goals)
        # Lists and mappings as JSON: a cell is text or a number.
        for name in params:
            value = trial.params.get(name)
            cells.append(json.dumps(value) if isinstance(value, (dict, list)) else value)
        cells += [trial.seconds, trial.epochs]
        cells += [trial.metrics.get(name) for name in metrics]
        writer.writerow(cells)
    return buffer.getvalue()


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Holds a result folder for this process. The system releases it when the process dies.

    Raises:
        StoreError: another process holds it.
    """
    with explained(folder / HELD):
        descriptor = os.open(folder / HELD, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            # A file that names its holder would be left behind by a killed process.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"{folder}: another process works on this search; wait for it, or stop it"
            ) from None
        yield
    finally:
        os.close(descriptor)
