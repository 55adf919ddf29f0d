"""The figures that a training reports, and that the record of a run keeps as they came."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict


def _finite_or_none(value: Any) -> Any:
    """JSON knows neither NaN nor infinity; an unknown figure is null there, and None here."""
    # NumPy's float32 is no float of Python's
    if isinstance(value, (float, np.floating)) and not math.isfinite(value):
        return None
    return value


Figure = Annotated[float | None, BeforeValidator(_finite_or_none)]
"""A number, or None where there is none: not finite, not known, or not of this task."""


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Epoch(_Figures):
    """One epoch of one runtime. Metrics of the validation part, from ``predict``, computed in
    NumPy.
    """

    epoch: int
    """From 1."""
    train_loss: Figure = None
    """Mean over the epoch's examples of the minimized loss, penalties included, before each step.
    """
    val_loss: Figure = None
    val_accuracy: Figure = None
    learning_rate: Figure = None
    """Of the epoch's last step."""
    seconds: Figure = None
    """Training time of this epoch, evaluation excluded."""


class Final(_Figures):
    """Metrics with the final (or restored best) weights in inference mode. Accuracy is null for
    regression; mean absolute error and R² are null for the other tasks.
    """

    train_loss: Figure = None
    train_accuracy: Figure = None
    train_mae: Figure = None
    train_r2: Figure = None
    val_loss: Figure = None
    val_accuracy: Figure = None
    val_mae: Figure = None
    val_r2: Figure = None
    test_loss: Figure = None
    test_accuracy: Figure = None
    test_mae: Figure = None
    test_r2: Figure = None
    best_epoch: int | None = None
    """With early stopping: the epoch (from 1) whose weights were restored."""


class Memory(_Figures):
    """The largest memory that a training took, before the evaluation at its end."""

    peak_bytes: int | None = None
    source: Literal["process", "device"] | None = None
    """``process`` (largest resident set) or ``device`` (the framework's own count)."""
