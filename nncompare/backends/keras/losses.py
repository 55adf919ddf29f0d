"""Losses and penalties as Keras objects."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from nncompare.spec.data import Task
from nncompare.spec.training import Penalty


def loss(task: Task) -> Any:
    """The loss to minimize, a mean over all examples (and steps, and outputs), from logits.

    ``classification``: softmax cross-entropy (Bridle 1990) of ``(N, …, C)`` logits and ``(N, …)``
        classes.
    ``binary``: sigmoid cross-entropy of ``(N, 1)`` logits and targets 0 or 1. ``regression``: mean
        squared error.
    """
    if task == "classification":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if task == "binary":
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.MeanSquaredError()


class ElasticNet(keras.regularizers.Regularizer):
    """``l1 sum|w| + l2 sum w^2`` (Zou and Hastie 2005).

    ``keras.regularizers.L1L2`` is the same formula, but rounds both factors to float32 in a float64
    run.
    """

    def __init__(self, l1: float, l2: float):
        self.l1, self.l2 = l1, l2

    def __call__(self, x: Any) -> Any:
        terms = []
        if self.l1:
            terms.append(ops.sum(ops.absolute(x)) * self.l1)
        if self.l2:
            terms.append(ops.sum(ops.square(x)) * self.l2)
        return sum(terms[1:], start=terms[0])

    def get_config(self) -> dict[str, float]:
        return {"l1": self.l1, "l2": self.l2}


def regularizer(penalty: Penalty) -> ElasticNet | None:
    """The regularizer of every kernel and recurrent kernel, or None."""
    return ElasticNet(penalty.l1, penalty.l2) if penalty.l1 or penalty.l2 else None
