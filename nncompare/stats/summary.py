"""Summaries of raw slices."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydantic import BaseModel, ConfigDict


class StepTime(BaseModel):
    """Seconds per training step over the slices after warm-up; a slice gives one value, its mean
    step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    median: float
    p05: float
    p95: float
    n: int
    """Number of slices."""


def step_time(slices: Iterable[tuple[int, float]]) -> StepTime:
    """Step time over slices: a slice gives one value, its mean step.

    Quantiles interpolate linearly between order statistics (Hyndman and Fan 1996, definition 7).

    Args:
        slices: pairs of (steps, seconds of the whole slice).

    Raises:
        ValueError: no slices, or a slice without steps.
    """
    pairs = np.asarray(list(slices), dtype=np.float64).reshape(-1, 2)
    if not len(pairs):
        raise ValueError("step_time needs at least one slice")
    if (pairs[:, 0] <= 0).any():
        raise ValueError("every slice needs at least one step")
    p05, median, p95 = np.quantile(pairs[:, 1] / pairs[:, 0], (0.05, 0.5, 0.95))
    return StepTime(median=float(median), p05=float(p05), p95=float(p95), n=len(pairs))
