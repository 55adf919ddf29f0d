"""How far two computations of the same function may lie apart.

Float64: what agreeing implementations reach over 200 steps on one thread (forward 3e-15, gradients
    5e-13, losses
1e-12), with room for another order of summation, and far below what any wrong constant causes: a
learning rate that is off by a millionth moves the final weights by a thousand gates. Float32 is
judged at the first step only; later its own rounding floor is the measure, since nets with kinks
amplify one unit in the last place without bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array

FORWARD = {"float64": 1e-12, "float32": 1e-5}
"""Relative to the largest value of the tensor."""
LOSS = {"float64": 1e-12, "float32": 1e-6}
"""Relative, at given weights."""
GRADIENT = 1e-10
"""Between runtimes, relative to the largest entry of the tensor (dead tensors: of the whole
gradient).
"""
SLOPE = 1e-8
"""Of a gradient along a direction, against differences, relative to its typical entry; widened by
what the differences say of their own error.
"""
UPDATE = 1e-11
"""One step of the optimizer against its formula, absolute; and weights after step 1 between
runtimes.
"""
UPDATE_SHARE = 1e-7
"""The same relative to the step, where that is less: of a small step ``UPDATE`` is a large part."""
SMALL_GRADIENT = 1e-6
"""A gradient below this share of the largest may be rounding, and its step is judged by ``UPDATE``
alone.
"""
SIGMAS = 5.0
"""How far the share of values that a framework's own dropout keeps may be off, in standard
deviations.
"""
RUNNING = 1e-12
"""One step of the running statistics against their formula, relative."""
TRAJECTORY_LOSS = 1e-10
"""Relative, at every step."""
WEIGHTS = 1e-10
"""Live tensors after the trajectory, absolute."""
DEAD = 1e-7
"""Tensors without a gradient, absolute; running statistics and logits of models with dead tensors,
relative.
"""
LOGITS = 1e-9
"""Between runtimes after the trajectory, relative to the largest logit. Wider than the weights',
whose differences the last forward pass amplifies (an LSTM over 28 steps: 1e-12 in the weights,
4e-11 in the logits); what that pass itself does is judged by its formula at the runtime's own
weights.
"""
FLOOR_FACTOR = 3.0
"""Float32 runtimes may lie apart by so many times the larger of their own distances from float64.
"""
UPDATE_FLOAT32 = 1e-5
"""One step of the optimizer in float32 against its formula, relative to the step, besides the
rounding of the weight; entries whose gradient is below a thousandth of their tensor's are left out.
"""
RUNNING_FLOAT32 = 1e-5
"""One step of the running statistics in float32, relative."""
LATER_FLOAT32 = 3e-5
"""Outputs and losses in float32 at weights that have been trained, relative."""
GRADIENT_FLOAT32 = 1e-3
"""A runtime's float32 gradient against its own in float64, relative; or ``OUTLIER`` times what the
others show.
"""
OUTLIER = 10.0
DEAD_SHARE = 1e-10
"""A tensor whose gradient is smaller than this share of the largest is dead."""

UNITS = {
    "round trip": "absolute",
    "forward": "relative",
    "forward, training": "relative",
    "loss": "relative",
    "gradient": "relative",
    "update": "absolute",
    "running statistics": "relative",
    "forward after updates": "relative",
    "update after load": "absolute",
    "weights after step 1": "absolute",
    "loss, every step": "relative",
    "weights": "absolute",
    "dead weights": "absolute",
    "final running statistics": "relative",
    "logits": "relative",
    "long pieces": "absolute",
    "loss of long pieces": "relative",
    "dropout, values": "relative",
    "dropout, share kept": "absolute",
}
"""Quantity -> the sense of its figures, in the order of a certificate."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison.

    Args:
        runtime: whose computation it is.
        against: ``formula``, ``differences``, ``itself`` or another runtime.
        quantity: a key of ``UNITS``.
        layer: node, parameter or direction; None for a loss.
        dtype: ``float64`` or ``float32``.
        worst: the largest difference, infinite where the two cannot be compared.
        gate: the largest that passes.
        step: of the training, from 1; None where none is trained.
    """

    runtime: str
    against: str
    quantity: str
    layer: str | None
    dtype: str
    worst: float
    gate: float
    step: int | None = None

    @property
    def passed(self) -> bool:
        return self.worst <= self.gate  # False for NaN

    @property
    def severity(self) -> float:
        """``worst / gate``; larger is worse."""
        if np.isnan(self.worst):
            return np.inf
        return self.worst / self.gate if self.gate else (np.inf if self.worst else 0.0)


Distance = Callable[[Array | None, Array], float]


def absolute(given: Array | None, expected: Array) -> float:
    """``max|a - b|``; infinite for another shape or a number that is not finite on one side
    only.
    """
    if given is None or given.shape != expected.shape:
        return np.inf
    a, b = np.asarray(given, np.float64), np.asarray(expected, np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    if not finite.all() and not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return np.inf
    return float(np.abs(a[finite] - b[finite]).max(initial=0.0))


def relative(given: Array | None, expected: Array) -> float:
    """``max|a - b| / max|b|``."""
    return absolute(given, expected) / scale(expected)


def loss_size(loss: Array | float, first: float) -> Array:
    """What the difference of a training loss is relative to, in the shape of ``loss``: its size,
    but never less than a thousandth of the first loss, since a net that has learned its few
    examples by heart has no digits left to compare; 1 where all is zero.
    """
    size = np.maximum(np.abs(loss), 1e-3 * abs(first))
    return np.where(size == 0, 1.0, size)


def scale(values: Array) -> float:
    """The largest magnitude, or 1 where all is zero."""
    values = np.asarray(values, np.float64)
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0
