"""Losses and penalties as Keras objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from nncompare.spec.data import Task
from nncompare.spec.job import Job


def classification() -> keras.losses.Loss:
    """Softmax cross-entropy (Bridle 1990) of ``(N, …, C)`` logits and ``(N, …)`` classes, mean over
    examples (and steps).
    """
    # Keras takes probabilities unless it is told
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def binary() -> keras.losses.Loss:
    """Sigmoid cross-entropy of ``(N, 1)`` logits and targets 0 or 1, mean over examples."""
    return keras.losses.BinaryCrossentropy(from_logits=True)


def regression() -> keras.losses.Loss:
    """Squared error, mean over examples and values."""
    return keras.losses.MeanSquaredError()


LOSSES: dict[Task, Callable[[], keras.losses.Loss]] = {
    "classification": classification,
    "binary": binary,
    "regression": regression,
}
"""Task -> what makes its loss of (logits or values, targets)."""


def penalty(job: Job) -> keras.regularizers.Regularizer | None:
    """``l1 sum|w| + l2 sum w^2`` as the regularizer of every kernel and recurrent kernel, or None
    where there is none.
    """
    spec = job.experiment.train.penalty
    if not (spec.l1 or spec.l2):
        return None
    kind = keras.regularizers.L1L2 if job.native else _ElasticNet
    return kind(spec.l1, spec.l2)


class _ElasticNet(keras.regularizers.Regularizer):  # type: ignore[misc]  # Keras is untyped
    """``l1 sum|w| + l2 sum w^2`` (Zou and Hastie 2005).

    ``keras.regularizers.L1L2`` is the same formula, but rounds both factors to float32 in a float64
    run.
    """

    def __init__(self, l1: float, l2: float):
        self.l1 = l1
        self.l2 = l2

    def __call__(self, x: Any) -> Any:
        terms = []
        if self.l1:
            terms.append(ops.sum(ops.absolute(x)) * self.l1)
        if self.l2:
            terms.append(ops.sum(ops.square(x)) * self.l2)
        return sum(terms[1:], start=terms[0])
