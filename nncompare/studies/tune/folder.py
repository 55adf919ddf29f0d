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
from datetime import datetime
from pathlib import Path

from nncompare.errors import StoreError
from nncompare.records.atomic import write_text
from nncompare.records.folder import RESULT_FILE, create
from nncompare.records.reading import read_as
from nncompare.records.record import to_json
from nncompare.studies.tune.record import TuneRecord, TuneTrial

EXPERIMENT, BEST, TRIALS, REPORT = "experiment.yaml", "best.yaml", "trials.csv", "report.html"


def begin(
    output: Path, name: str, created: datetime, experiment: str, result: TuneRecord
) -> tuple[Path, TuneRecord]:
    """Makes the folder with its experiment and an empty result.

    Returns:
        Its path, and the result with the folder's name as its id.

    Raises:
        StoreError: it cannot be made; the message says why and what to do.
    """
    with create(output, name, created=created) as folder:
        result = result.model_copy(update={"id": folder.id})
        folder.write_experiment(experiment)
        folder.write_result(result)
        folder.publish()
        return folder.path, result


def write(folder: Path, result: TuneRecord) -> None:
    """``result.json`` and ``trials.csv``, each whole or not at all."""
    write_text(folder / RESULT_FILE, to_json(result))
    write_text(folder / TRIALS, trials_text(result))


def trials_text(result: TuneRecord) -> str:
    """``trials.csv``: one line a trial; an unknown figure is an empty field."""
    # Every name that any trial has, in the order in which they come.
    params: dict[str, None] = {}
    metrics: dict[str, None] = {}
    for trial in result.trials:
        params |= dict.fromkeys(trial.params)
        metrics |= dict.fromkeys(trial.metrics)
    goals = [f"value.{goal.name}" for goal in result.goals]
    head = ["runtime", "number", "state", "status", "reason"]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*head, *goals, *params, "seconds", "epochs", *metrics])
    for trial in result.trials:
        writer.writerow(_cells(trial, len(goals), list(params), list(metrics)))
    return buffer.getvalue()


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Holds a result folder for this process. The system releases it when the process dies.

    Raises:
        StoreError: another process holds it.
    """
    descriptor = os.open(folder / ".held", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"{folder}: another process works on this search; wait for it, or stop it"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _cells(trial: TuneTrial, goals: int, params: list[str], metrics: list[str]) -> list[object]:
    cells: list[object] = [
        trial.runtime,
        trial.number,
        trial.state,
        trial.status,
        trial.reason,
    ]
    # A trial that failed has no values at all.
    values = list(trial.values or ())
    cells += [*values, *[None] * goals][:goals]
    for name in params:
        value = trial.params.get(name)
        cells.append(json.dumps(value) if isinstance(value, (dict, list)) else value)
    cells += [trial.seconds, trial.epochs]
    cells += [trial.metrics.get(name) for name in metrics]
    return ["" if cell is None else cell for cell in cells]


def read(path: Path) -> TuneRecord:
    """A stored search, from its folder or its ``result.json``.

    Raises:
        StoreError: missing, damaged, or a record of another kind.
    """
    return read_as(path, TuneRecord)
