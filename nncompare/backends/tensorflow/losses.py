"""Losses from logits, and penalties on kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow import Tensor

from nncompare.spec.data import Task
from nncompare.spec.job import Job


def classification(logits: Tensor, y: Tensor) -> Tensor:
    """Mean over examples (and steps) of ``-log softmax(logits)[y]``. ``(N, …, C), (N, …) integers
    -> ()``.
    """
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))


def binary(logits: Tensor, y: Tensor) -> Tensor:
    """Mean of ``max(x, 0) - x y + log(1 + exp(-|x|))``, the cross-entropy of ``sigmoid(x)``.

    ``(N, 1), (N, 1) -> ()``.
    """
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits))


def regression(values: Tensor, y: Tensor) -> Tensor:
    """Mean over examples and values of ``(values - y)^2``. ``(N, K), (N, K) -> ()``."""
    return tf.reduce_mean(tf.math.squared_difference(values, y))


LOSSES: dict[Task, Callable[[Tensor, Tensor], Tensor]] = {
    "classification": classification,
    "binary": binary,
    "regression": regression,
}
"""Task -> its loss of (logits or values, targets)."""


def penalty(job: Job) -> Callable[[Sequence[tf.Variable]], Tensor] | None:
    """``l1 sum|w| + l2 sum w^2`` as a function of all penalized weights, or None where there is
    none. Natively L2 is ``tf.nn.l2_loss``, which is half the sum of squares.
    """
    spec = job.experiment.train.penalty
    if not (spec.l1 or spec.l2):
        return None
    if job.native:

        def native_term(weights: Sequence[tf.Variable]) -> Tensor:
            terms = [spec.l1 * tf.reduce_sum(tf.abs(weight)) for weight in weights if spec.l1]
            terms += [spec.l2 * tf.nn.l2_loss(weight) for weight in weights if spec.l2]
            return tf.add_n(terms)

        return native_term

    # constants in the weights' own dtype: a Python number would pass through float32
    def term(weights: Sequence[tf.Variable]) -> Tensor:
        terms = []
        for weight in weights:
            if spec.l1:
                terms.append(tf.constant(spec.l1, weight.dtype) * tf.reduce_sum(tf.abs(weight)))
            if spec.l2:
                # tf.nn.l2_loss is sum w^2 / 2 in one kernel
                terms.append(tf.constant(2 * spec.l2, weight.dtype) * tf.nn.l2_loss(weight))
        return tf.add_n(terms)

    return term
