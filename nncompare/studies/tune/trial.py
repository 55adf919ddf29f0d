"""What one trial trains: its experiment, its data, its jobs; and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nncompare.config.load import load_mapping, to_mapping
from nncompare.config.space import file_values, with_values
from nncompare.data import signature
from nncompare.data.base import Part
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.tune import Tune
from nncompare.studies.tune.data_store import DataStore

FinalState = Literal["complete", "pruned", "failed"]


def experiment_of(experiment: Experiment, params: Mapping[str, Any]) -> Experiment:
    """The experiment of one point of the search, without its ``tune`` and ``sweep``.

    Raises:
        ConfigError: the values do not go together (heads that do not divide a size).
    """
    assert experiment.tune is not None, "a search has a tune section"
    mapping = to_mapping(experiment)
    for section in ("tune", "sweep"):
        mapping.pop(section, None)
    changed = with_values(mapping, file_values(experiment.tune, params))
    return load_mapping(changed, signature_of=signature)


def most_epochs(experiment: Experiment) -> int:
    """The most that one training of the search may take."""
    assert experiment.tune is not None, "a search has a tune section"
    found = [experiment.train.epochs]
    dimension = experiment.tune.parameters.get("train.epochs")
    if dimension is not None:
        options = dimension.choices if dimension.choices is not None else (dimension.max,)
        found += [item for item in options if isinstance(item, int)]
    return max(found)


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


def measures_peak_memory(tune: Tune) -> bool:
    """Whether each training needs a process of its own: a peak is that of all its trials."""
    return any(goal.name == "peak_bytes" for goal in tune.metric)


def trial_limit_s(experiment: Experiment) -> float:
    """Longest time of one trial in seconds."""
    assert experiment.tune is not None, "a search has a tune section"
    return experiment.tune.trial_timeout or experiment.measure.timeout_s


def trial_jobs(
    experiment: Experiment,
    runtime: str,
    threads: int,
    store: DataStore,
    *,
    folds: int | None = None,
) -> list[TrialJob]:
    """The trainings of one trial, in their order.

    Raises:
        DataError: the data cannot be had.
    """
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


def metric_value(row: TrainedRuntime, name: str) -> float | None:
    """One metric of a finished training; None if it is not known or not finite."""
    found: float | None
    match name:
        case "step_s":
            found = row.timing.step_s.median if row.timing.step_s is not None else None
        case "samples_per_s" | "train_s":
            found = getattr(row.timing, name)
        case "peak_bytes":
            found = row.memory.peak_bytes
        case "parameters":
            found = row.parameters
        case _:
            # Loss, accuracy and the like of the training and validation part.
            found = getattr(row.final, name)
    return found


def goal_values(rows: Sequence[TrainedRuntime], tune: Tune) -> list[float] | str:
    """The values of a trial's goals, means over its folds; or the reason why there are none."""
    found = []
    for goal in tune.metric:
        values = [metric_value(row, goal.name) for row in rows]
        known = [value for value in values if value is not None and np.isfinite(value)]
        if len(known) == len(values):
            found.append(float(np.mean(known)))
        elif goal.name in ("step_s", "samples_per_s"):
            return (
                f"{goal.name} is not known: training ended before the first slice after warm-up;"
                " train longer"
            )
        else:
            return f"{goal.name} is not a finite number"
    return found


def fold_spread(rows: Sequence[TrainedRuntime], tune: Tune) -> dict[str, float]:
    """Metric -> standard deviation over the folds (with ``n - 1``); empty without folds."""
    if len(rows) < 2:
        return {}
    found: dict[str, float] = {}
    for goal in tune.metric:
        values = [metric_value(row, goal.name) or 0.0 for row in rows]
        found[goal.name] = float(np.std(values, ddof=1))
    return found


@dataclass(kw_only=True)
class FinishedTrial:
    """How a trial ended.

    Args:
        state: ``complete``, ``pruned`` or ``failed``.
        status: ``ok``, ``pruned`` or the word of a ``RuntimeFailure``.
        reason: why it is not ``ok``.
        values: of the goals.
        params: dotted path -> value, as Optuna stores it.
        rows: one for each training that ended well.
        seconds: from the proposal to the end.
    """

    number: int
    state: FinalState
    status: str
    reason: str | None = None
    values: list[float] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    rows: list[TrainedRuntime] = field(default_factory=list)
    seconds: float = 0.0
