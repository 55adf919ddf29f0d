"""What is written of a trial: Optuna's state and values, and user attributes under dotted names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nncompare.studies.tune.plan import RunningTrial, SearchPlan
from nncompare.studies.tune.storage import Study
from nncompare.studies.tune.trial import FinishedTrial

_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def note(
    done: FinishedTrial, under: RunningTrial, plan: SearchPlan, spread: Mapping[str, float]
) -> dict[str, Any]:
    """The user attributes of a trial. Figures are of the last fold where there are several, but for
    ``folds.*``.
    """
    history = [row.history for row in done.rows]
    found: dict[str, Any] = {
        "status": done.status,
        "reason": done.reason,
        "runtime": plan.runtime,
        "threads": plan.threads,
        "seconds": done.seconds,
        "epochs": sum(map(len, history)) or len(under.outcome.history),
    }
    if done.rows:
        row = done.rows[-1]
        found["train.seed"] = plan.experiment.train.seed
        found["parameters"] = row.parameters
        found |= {f"final.{name}": value for name, value in row.final if value is not None}
        found |= {f"memory.{name}": value for name, value in row.memory if value is not None}
        times = row.timing.model_dump(exclude_none=True)
        found |= {
            f"timing.{name}": value for name, value in times.items() if not isinstance(value, dict)
        }
        if row.timing.step_s is not None:
            found["timing.step_s"] = row.timing.step_s.median
        busy = sum(
            (item.timing.build_s or 0) + (item.timing.train_s or 0) + (item.timing.evaluate_s or 0)
            for item in done.rows
        )
        found["overhead_s"] = max(0.0, done.seconds - busy)
    for name, value in spread.items():
        found[f"folds.{name}.std"] = value
    if len(done.rows) > 1:
        for index, row in enumerate(done.rows):
            found |= {
                f"folds.{index}.{name}": value for name, value in row.final if value is not None
            }
    return found


def close(
    study: Study,
    view: optuna.Study,
    trial_id: int,
    done: FinishedTrial,
    attributes: Mapping[str, Any],
) -> bool:
    """Writes the attributes and ends the trial; False if another process has ended it before."""
    try:
        for key, value in attributes.items():
            study.storage.set_trial_user_attr(trial_id, key, value)
        if study.storage.get_trial(trial_id).state != TrialState.RUNNING:
            return False
        view.tell(done.number, done.values, state=_STATES[done.state])
    except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
        return False
    return True


def ranked(study: Study, directions: tuple[str, ...]) -> list[FrozenTrial]:
    """Finished trials from the best on; with several goals those of the Pareto front, by their
    first goal.
    """
    done = study.trials(TrialState.COMPLETE)
    if len(directions) > 1:
        done = study.load().best_trials
    sign = -1 if directions[0] == "maximize" else 1
    return sorted(done, key=lambda trial: (sign * (trial.values or [0.0])[0], trial.number))
