"""What is written of a trial: Optuna's state and values, and user attributes under dotted names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.studies.tune.trial import FinishedTrial, fold_spread

_OPTUNA_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
"""Optuna's state -> the word in the record."""


def user_attributes(finished: FinishedTrial, plan: SearchPlan, *, epochs: int) -> dict[str, Any]:
    """The user attributes of a trial. Figures are of the last fold where there are several, but for
    ``folds.*``.

    Args:
        epochs: that it has trained.
    """
    found: dict[str, Any] = {
        "status": finished.status,
        "reason": finished.reason,
        "runtime": plan.runtime,
        "threads": plan.threads,
        "seconds": finished.seconds,
        "epochs": epochs,
    }
    if finished.rows:
        found["train.seed"] = plan.experiment.train.seed
        found |= _figures(finished.rows[-1])
        busy_s = sum(_busy_s(row) for row in finished.rows)
        found["overhead_s"] = max(0.0, finished.seconds - busy_s)
    if finished.state == "complete":
        for name, spread in fold_spread(finished.rows, plan.tune).items():
            found[f"folds.{name}.std"] = spread
    if len(finished.rows) > 1:
        for index, row in enumerate(finished.rows):
            found |= _known(f"folds.{index}", row.final)
    return found


def _figures(row: TrainedRuntime) -> dict[str, Any]:
    """Everything that was measured in one training, under dotted names."""
    found: dict[str, Any] = {"parameters": row.parameters}
    found |= _known("final", row.final)
    found |= _known("memory", row.memory)
    for name, value in row.timing.model_dump(exclude_none=True).items():
        # The step time is a summary of its own.
        if not isinstance(value, dict):
            found[f"timing.{name}"] = value
    if row.timing.step_s is not None:
        found["timing.step_s"] = row.timing.step_s.median
    return found


def _known(prefix: str, figures: Any) -> dict[str, Any]:
    """The figures of a record's part that are not None, under dotted names."""
    return {f"{prefix}.{name}": value for name, value in figures if value is not None}


def _busy_s(row: TrainedRuntime) -> float:
    """Seconds that one training would have taken without a search around it."""
    timing = row.timing
    return (timing.build_s or 0.0) + (timing.train_s or 0.0) + (timing.evaluate_s or 0.0)


def finish_trial(
    study: StoredStudy,
    optuna_study: optuna.Study,
    finished: FinishedTrial,
    attributes: Mapping[str, Any],
) -> bool:
    """Writes the attributes and ends the trial; False if another process has ended it before."""
    try:
        study.set_attributes(finished.number, attributes)
        if study.trial(finished.number).state != TrialState.RUNNING:
            # Its heart was thought to have stopped, and it waits for another process.
            return False
        state = _OPTUNA_STATES[finished.state]
        optuna_study.tell(finished.number, finished.values, state=state)
    except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
        return False
    return True


def ranked_trials(study: StoredStudy, directions: tuple[str, ...]) -> list[FrozenTrial]:
    """Finished trials from the best on; with several goals those of the Pareto front, by their
    first goal.
    """
    found = study.trials(TrialState.COMPLETE)
    if len(directions) > 1:
        found = study.optuna_study().best_trials
    sign = -1 if directions[0] == "maximize" else 1

    def rank(trial: FrozenTrial) -> tuple[float, int]:
        first = trial.values[0] if trial.values else 0.0
        return sign * first, trial.number

    return sorted(found, key=rank)
