"""What is written of a trial: Optuna's state and values, and user attributes under dotted names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.tune import Tune
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.studies.tune.trial import FinishedTrial, metric_value

OPTUNA_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
    "waiting": TrialState.WAITING,
}
"""The word in the record -> Optuna's state."""


VERSION = "versions."
"""What stands before a package's name."""


def user_attributes(finished: FinishedTrial, plan: SearchPlan, runtime: str) -> dict[str, Any]:
    """The user attributes of a trial. Figures are of the last fold where there are several, but for
    ``folds.*``.
    """
    rows = finished.rows
    found: dict[str, Any] = {
        "status": finished.status,
        "reason": finished.reason,
        "runtime": runtime,
        "threads": plan.threads,
        "seconds": finished.seconds,
        "epochs": finished.epochs,
    }
    # A trial that failed at once has no figures.
    if rows:
        found["train.seed"] = plan.experiment.train.seed
        found |= _figures(rows[-1])
        found |= {f"{VERSION}{name}": text for name, text in rows[-1].versions.items()}
        # What the search costs besides the training: proposing, data, a worker's start.
        busy_s = sum(_busy_s(row) for row in rows)
        found["overhead_s"] = max(0.0, finished.seconds - busy_s)
    if len(rows) > 1:
        # A spread of some of the folds would pass for that of all.
        if finished.state == "complete":
            for goal in plan.tune.metric:
                values = [metric_value(row, goal.name) or 0.0 for row in rows]
                found[f"folds.{goal.name}.std"] = float(np.std(values, ddof=1))
        for index, row in enumerate(rows):
            found |= _known(f"folds.{index}", row.final)
    return found


def _figures(row: TrainedRuntime) -> dict[str, Any]:
    """Everything that was measured in one training, under dotted names."""
    found: dict[str, Any] = {"parameters": row.parameters}
    found |= _known("final", row.final)
    found |= _known("memory", row.memory)
    found |= _known("timing", row.timing)
    # The step time is a summary of its own, and stands last.
    if found.pop("timing.step_s", None) is not None:
        found["timing.step_s"] = metric_value(row, "step_s")
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
        state = OPTUNA_STATES[finished.state]
        optuna_study.tell(finished.number, finished.values, state=state)
    except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
        # That process has also ended it, a moment ago.
        return False
    return True


def ranked_trials(study: StoredStudy, tune: Tune) -> list[FrozenTrial]:
    """Finished trials from the best on; with several goals those of the Pareto front, by their
    first goal.
    """
    several = len(tune.metric) > 1
    found = study.optuna_study().best_trials if several else study.trials(TrialState.COMPLETE)
    sign = tune.metric[0].sign
    return sorted(found, key=lambda trial: (sign * trial.values[0], trial.number))
