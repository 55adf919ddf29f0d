"""Losses from logits, and penalties on kernels. All are means over every example (and step, and
value).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def softmax_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """``-log softmax(logits)[target]``, mean over N, or N and T. ``(N, [T,] C)`` and int64 ``(N,
    [T])``.
    """
    return functional.cross_entropy(logits.flatten(0, -2), target.flatten())


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classification": softmax_cross_entropy,
    "binary": functional.binary_cross_entropy_with_logits,
    "regression": functional.mse_loss,
}
"""Task -> its loss of (logits or values, targets)."""


def target_dtype(task: str, dtype: torch.dtype) -> torch.dtype:
    """The type that the loss wants its targets in: class indices are int64."""
    return torch.int64 if task == "classification" else dtype


def penalty(weights: Sequence[Tensor], l1: float, l2: float) -> Tensor:
    """``l1 sum|w| + l2 sum w^2`` over all ``weights``; at least one of the factors is positive."""
    terms = [l1 * weight.abs().sum() for weight in weights if l1]
    terms += [l2 * weight.square().sum() for weight in weights if l2]
    return torch.stack(terms).sum()
