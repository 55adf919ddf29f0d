"""Losses from logits, penalties, and clipping by global norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from nncompare.spec.data import Task
from nncompare.spec.training import Penalty

Tensor = tf.Tensor


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


def penalty(weights: Sequence[tf.Variable], spec: Penalty) -> Tensor | None:
    """``l1 sum|w| + l2 sum w^2`` over ``weights``; None where both are zero, so that nothing is
    computed.
    """
    terms: list[Tensor] = []
    for weight in weights:
        if spec.l1:
            terms.append(tf.constant(spec.l1, weight.dtype) * tf.reduce_sum(tf.abs(weight)))
        if spec.l2:
            # tf.nn.l2_loss is sum w^2 / 2 in one kernel
            terms.append(tf.constant(2 * spec.l2, weight.dtype) * tf.nn.l2_loss(weight))
    return tf.add_n(terms) if terms else None


def clip(gradients: Sequence[Tensor], norm: float | None) -> list[Tensor]:
    """All gradients times ``norm / total`` if ``total``, the norm of them all together, is larger
    than ``norm`` (Pascanu et al. 2013, Algorithm 1; no epsilon). None: as they are.
    """
    if norm is None:
        return list(gradients)
    limit = tf.constant(norm, gradients[0].dtype)
    total = tf.sqrt(tf.constant(2, limit.dtype) * tf.add_n([tf.nn.l2_loss(g) for g in gradients]))
    factor = tf.where(total > limit, limit / total, tf.ones_like(total))
    return [g * factor for g in gradients]
