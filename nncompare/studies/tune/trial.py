"""What came of a trial: its goals' values, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from nncompare.errors import Diverged, Failed
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.tune import Tune

FinalState = Literal["complete", "pruned", "failed"]


def metric_value(row: TrainedRuntime, name: str) -> float | None:
    """One metric of a finished training; None if it is not known."""
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


def goal_values(rows: Sequence[TrainedRuntime], tune: Tune) -> list[float]:
    """The values of a trial's goals, means over its folds.

    Raises:
        Diverged: one is not finite.
        Failed: training was too short to know one.
    """
    found = []
    for goal in tune.metric:
        values = [metric_value(row, goal.name) for row in rows]
        known = [value for value in values if value is not None and np.isfinite(value)]
        if len(known) == len(values):
            found.append(float(np.mean(known)))
        # Times are of the slices after warm-up, and a short training has none.
        elif goal.name in ("step_s", "samples_per_s"):
            raise Failed(
                f"{goal.name} is not known: training ended before the first slice after warm-up;"
                " train longer"
            )
        else:
            raise Diverged(f"{goal.name} is not a finite number")
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
        epochs: that it has trained.
    """

    number: int
    state: FinalState
    status: str
    reason: str | None = None
    values: list[float] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    rows: list[TrainedRuntime] = field(default_factory=list)
    seconds: float = 0.0
    epochs: int = 0
