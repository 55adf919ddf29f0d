"""What one trial trains: its experiment, its data, its jobs; and what came of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nncompare.config.load import load_mapping, to_mapping
from nncompare.config.space import file_values, with_values
from nncompare.data import prepare, signature
from nncompare.data.base import Data, Part
from nncompare.data.folds import fold as cut_fold
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.tune import Tune

_KEPT = 12
"""Prepared data sets that stay on the disk: a search may change the data, and folds need one each.
"""


def experiment_of(experiment: Experiment, params: Mapping[str, Any]) -> Experiment:
    """The experiment of one point of the search, without its ``tune`` and ``sweep``.

    Raises:
        ConfigError: the values do not go together (heads that do not divide a size).
    """
    assert experiment.tune is not None, "a search has a tune section"
    mapping = {
        key: value for key, value in to_mapping(experiment).items() if key not in ("tune", "sweep")
    }
    return load_mapping(
        with_values(mapping, file_values(experiment.tune, params)), signature_of=signature
    )


def most_epochs(experiment: Experiment) -> int:
    """The most that one training of the search may take."""
    assert experiment.tune is not None, "a search has a tune section"
    epochs = experiment.train.epochs
    for name, parameter in experiment.tune.parameters.items():
        if name == "train.epochs":
            options = list(parameter.choices) if parameter.choices is not None else [parameter.max]
            epochs = max([epochs, *(item for item in options if isinstance(item, int))])
    return epochs


class DataStore:
    """Prepared arrays on disk, made once for all trials that use the same.

    Args:
        folder: of this process alone.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._made: dict[str, tuple[Path, int]] = {}
        self._last: tuple[str, Data] | None = None

    def get(
        self, experiment: Experiment, *, folds: int | None = None, fold: int = 0
    ) -> tuple[Path, int]:
        """The folder of the arrays, and the number of training examples.

        Raises:
            DataError: the data cannot be had.
        """
        whole = self._key(experiment)
        key = f"{whole}-{fold}of{folds}" if folds else whole
        if key not in self._made:
            data = self._prepared(experiment, whole)
            if folds:
                seed = experiment.train.seed
                data = cut_fold(
                    data, experiment.data, experiment.task, count=folds, index=fold, seed=seed
                )
            while len(self._made) >= max(_KEPT, folds or 0):
                shutil.rmtree(self._made.pop(next(iter(self._made)))[0], ignore_errors=True)
            data.save(self._folder / key)
            self._made[key] = self._folder / key, len(data.train)
        return self._made[key]

    def prepared(self, experiment: Experiment) -> Data:
        """The arrays themselves, for the record."""
        return self._prepared(experiment, self._key(experiment))

    def _prepared(self, experiment: Experiment, key: str) -> Data:
        if self._last is None or self._last[0] != key:
            dtype = np.dtype(experiment.train.dtype)
            data = prepare(
                experiment.data, experiment.task, seed=experiment.train.seed, dtype=dtype
            )
            self._last = key, data
        return self._last[1]

    @staticmethod
    def _key(experiment: Experiment) -> str:
        parts = [
            experiment.data.model_dump(mode="json"),
            experiment.task,
            experiment.train.seed,
            experiment.train.dtype,
        ]
        return hashlib.blake2b(
            json.dumps(parts, sort_keys=True).encode(), digest_size=8
        ).hexdigest()


@dataclass(kw_only=True)
class TrialJob:
    """One training of a trial: the whole trial, or one fold of it.

    Args:
        job: what the worker trains.
        data: the folder of its arrays.
        examples: in the training part.
    """

    job: Job
    data: Path
    examples: int


def evaluated_parts(tune: Tune) -> tuple[Part, ...]:
    """What a trial is evaluated on at its end: the training part only where a goal asks for it."""
    if any(goal.name.startswith("train_") for goal in tune.metric):
        return ("train", "validation")
    return ("validation",)


def tasks(
    experiment: Experiment,
    runtime: str,
    threads: int,
    store: DataStore,
    *,
    folds: int | None = None,
) -> list[TrialJob]:
    """The trainings of one trial, in their order."""
    found = []
    for index in range(folds or 1):
        folder, examples = store.get(experiment, folds=folds, fold=index)
        job = Job(
            runtime=runtime,
            experiment=experiment,
            signature=signature(experiment.data, experiment.task),
            device=experiment.measure.device,
            threads=threads,
            seed=experiment.train.seed,
        )
        found.append(TrialJob(job=job, data=folder, examples=examples))
    return found


def metric(row: TrainedRuntime, name: str) -> float | None:
    """One metric of a finished training; None if it is not known or not finite."""
    match name:
        case "step_s":
            return row.timing.step_s.median if row.timing.step_s else None
        case "samples_per_s" | "train_s":
            found: float | None = getattr(row.timing, name)
            return found
        case "peak_bytes":
            return row.memory.peak_bytes
        case "parameters":
            return row.parameters
    value: float | None = getattr(row.final, name)
    return value


def values_of(rows: Sequence[TrainedRuntime], tune: Tune) -> list[float] | str:
    """The values of a trial's goals, means over its folds; or the reason why there are none."""
    found = []
    for goal in tune.metric:
        values = [metric(row, goal.name) for row in rows]
        known = [value for value in values if value is not None and np.isfinite(value)]
        if len(known) < len(values):
            if goal.name in ("step_s", "samples_per_s"):
                return (
                    f"{goal.name} is not known: training ended before the first slice after"
                    " warm-up; train longer"
                )
            return f"{goal.name} is not a finite number"
        found.append(float(np.mean(known)))
    return found


def spread_of(rows: Sequence[TrainedRuntime], tune: Tune) -> dict[str, float]:
    """Metric -> standard deviation over the folds (with ``n - 1``)."""
    names = [goal.name for goal in tune.metric] if len(rows) > 1 else []
    return {
        name: float(np.std([metric(row, name) or 0.0 for row in rows], ddof=1)) for name in names
    }


@dataclass(kw_only=True)
class FinishedTrial:
    """How a trial ended.

    Args:
        state: ``complete``, ``pruned`` or ``failed``.
        status: ``ok``, ``pruned`` or the word of a ``RuntimeFailure``.
        values: of the goals.
        rows: one for each training that ended well.
    """

    number: int
    state: str
    status: str
    reason: str | None = None
    values: list[float] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    rows: list[TrainedRuntime] = field(default_factory=list)
    seconds: float = 0.0
