"""Losses in float64, computed from logits, and the penalties with their gradients.

Reduction: the mean over examples and, where there is a target per step, over steps; mean squared
error also over outputs. Shapes: see ``data.base.Split``.
"""

from __future__ import annotations

import numpy as np

from nncompare.numerics.arrays import Array, Params
from nncompare.numerics.semantics import ALIGNED, L2, Semantics
from nncompare.spec.data import Task
from nncompare.spec.model import Model


def log_softmax(logits: Array) -> Array:
    """``x - log sum exp(x)`` over the last axis, shifted by the maximum so that nothing
    overflows.
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, with an exponent that is never positive."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1 + small))


def softmax_cross_entropy(logits: Array, targets: Array) -> float:
    """Mean of ``-log softmax(logits)[target]`` (Bridle 1990). Logits ``(…, classes)``, targets
    ``(…)`` integers.
    """
    logarithms = log_softmax(_float(logits))
    classes = targets[..., None].astype(np.int64)
    picked = np.take_along_axis(logarithms, classes, axis=-1)
    return float(-picked.mean())


def sigmoid_cross_entropy(logits: Array, targets: Array) -> float:
    """Mean of ``-y log s(x) - (1 - y) log(1 - s(x))``, written ``max(x, 0) - x y + log(1 +
    exp(-|x|))``.

    Logits and targets ``(N, 1)``, targets 0 or 1.
    """
    x = _float(logits)
    losses = np.maximum(x, 0) - x * targets + np.log1p(np.exp(-np.abs(x)))
    return float(losses.mean())


def mean_squared_error(outputs: Array, targets: Array) -> float:
    """Mean of ``(output - target)^2`` over examples and outputs."""
    errors = _float(outputs) - _float(targets)
    return float((errors**2).mean())


def data_loss(task: Task, outputs: Array, targets: Array) -> float:
    """The loss of a task, without penalties."""
    # Targets are class numbers, of one axis less than the logits.
    if task == "classification":
        return softmax_cross_entropy(outputs, targets)
    # (N, 1) against (N,) would broadcast to (N, N) and give a plausible number
    if outputs.shape != targets.shape:
        raise ValueError(
            f"outputs {outputs.shape} and targets {targets.shape} must have the same shape"
        )
    if task == "binary":
        return sigmoid_cross_entropy(outputs, targets)
    return mean_squared_error(outputs, targets)


def penalty(
    params: Params, model: Model, l1: float, l2: float, *, semantics: Semantics = ALIGNED
) -> float:
    """``l1 sum|w| + l2 sum w^2`` over kernels and recurrent kernels (Tibshirani 1996; Hoerl and
    Kennard 1970): the part of the penalties that stands in the loss. Of the other meanings of L2
    see ``semantics.L2``.
    """
    l1, l2 = _factors(l1, l2, semantics)
    total = 0.0
    for name, parameter in model.parameters.items():
        if parameter.penalized:
            w = _float(params[name])
            total += l1 * float(np.abs(w).sum()) + l2 * float((w**2).sum())
    return total


def penalty_gradients(
    params: Params, model: Model, l1: float, l2: float, *, semantics: Semantics = ALIGNED
) -> Params:
    """``l1 sign(w) + 2 l2 w`` for penalized parameters and zeros for the other trainable ones;
    sign(0) = 0.
    """
    l1, l2 = _factors(l1, l2, semantics)
    found: Params = {}
    for name, parameter in model.parameters.items():
        # Zeros, so that the sum with another gradient needs no case of its own.
        if parameter.trainable:
            w = _float(params[name])
            found[name] = l1 * np.sign(w) + 2 * l2 * w if parameter.penalized else np.zeros_like(w)
    return found


def _factors(l1: float, l2: float, semantics: Semantics) -> tuple[float, float]:
    """Of ``sum|w|`` and ``sum w^2`` in the loss."""
    l1 = semantics.constant("penalty.l1", l1)
    l2 = semantics.constant("penalty.l2", l2)
    match semantics.l2:
        case L2.IN_LOSS:
            return l1, l2
        case L2.HALVED:
            return l1, l2 / 2
        case L2.AS_DECAY | L2.DECOUPLED:
            # a matter of the optimizer: updates.step
            return l1, 0.0
        case _:
            raise NotImplementedError(semantics.l2)


def _float(array: Array) -> Array:
    return np.asarray(array, np.float64)
