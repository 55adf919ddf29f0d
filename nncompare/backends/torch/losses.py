"""Losses from logits, and penalties on kernels. All are means over every example (and step, and
value).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nncompare.backends.torch.optimizers import l2_is_weight_decay
from nncompare.spec.data import Task
from nncompare.spec.job import Job


def classification(logits: Tensor, target: Tensor) -> Tensor:
    """``-log softmax(logits)[target]``, mean over N, or N and T. ``(N, [T,] C)`` and int64 ``(N,
    [T])``.
    """
    # PyTorch takes classes for axis 1; here they are the last axis, behind the steps
    return functional.cross_entropy(logits.flatten(0, -2), target.flatten())


def binary(logits: Tensor, target: Tensor) -> Tensor:
    """The cross-entropy of ``sigmoid(logits)``, mean over N. Both ``(N, 1)``."""
    return functional.binary_cross_entropy_with_logits(logits, target)


def regression(values: Tensor, target: Tensor) -> Tensor:
    """``(values - target)^2``, mean over N and K. Both ``(N, K)``."""
    return functional.mse_loss(values, target)


LOSSES: dict[Task, Callable[[Tensor, Tensor], Tensor]] = {
    "classification": classification,
    "binary": binary,
    "regression": regression,
}
"""Task -> its loss of (logits or values, targets)."""


def target_dtype(task: Task, dtype: torch.dtype) -> torch.dtype:
    """The type that the loss wants its targets in: class indices are int64."""
    return torch.int64 if task == "classification" else dtype


def penalty(job: Job) -> Callable[[Sequence[Tensor]], Tensor] | None:
    """``l1 sum|w| + l2 sum w^2`` as a function of all penalized weights, or None where there is
    none. Natively most optimizers take L2 as their ``weight_decay``, and it is no part of the loss.
    """
    spec = job.experiment.train.penalty
    l1 = spec.l1
    l2 = 0.0 if l2_is_weight_decay(job) else spec.l2
    if not (l1 or l2):
        return None

    def term(weights: Sequence[Tensor]) -> Tensor:
        terms = [l1 * weight.abs().sum() for weight in weights if l1]
        terms += [l2 * weight.square().sum() for weight in weights if l2]
        return torch.stack(terms).sum()

    return term
