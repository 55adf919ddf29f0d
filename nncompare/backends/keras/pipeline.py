"""The training batches of a plan as one ``tf.data`` pipeline."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.base import Array
from nncompare.numerics.batches import BatchPlan

_ROWS = 1 << 20
"""Row numbers that are drawn at once, so that many short epochs cost one call of NumPy and long
runs little memory.
"""
_AHEAD = 4
"""Batches that are gathered ahead; gathering one is far quicker than training on it."""


def stage(array: Array) -> Tensor:
    """A tensor in the host's memory, where the pipeline gathers its batches."""
    with tf.device("/CPU:0"):
        return tf.constant(array)


def batches(x: Tensor, y: Tensor, plan: BatchPlan) -> tf.data.Dataset:
    """Every batch ``(x[rows], y[rows])`` of the whole plan in its order, gathered ahead of the
    training step.

    Args:
        x, y: the training examples, ``(examples, …)``.
        plan: which of them a step takes.
    """
    block = max(1, _ROWS // plan.examples)

    def draw(first: int) -> Array:
        """The row numbers of a block of epochs, one after the other."""
        epochs = range(first, min(first + block, plan.epochs))
        return np.concatenate([plan.order(epoch) for epoch in epochs])

    def steps(first: Tensor) -> tf.data.Dataset:
        """The batches of the block that begins with the epoch ``first``."""
        # not stateful: the same answer for the same question
        order = tf.numpy_function(draw, [first], tf.int32, stateful=False)
        # what comes from NumPy has no shape when tracing, and a slice needs a rank
        order.set_shape([None])

        def batch(step: Tensor) -> tuple[Tensor, Tensor]:
            start = step // plan.steps_per_epoch * plan.examples
            begin = start + step % plan.steps_per_epoch * plan.batch_size
            rows = order[begin : tf.minimum(begin + plan.batch_size, start + plan.examples)]
            return tf.gather(x, rows), tf.gather(y, rows)

        count = tf.minimum(plan.epochs - first, block) * plan.steps_per_epoch
        return tf.data.Dataset.range(count).map(batch)

    found = tf.data.Dataset.range(0, plan.epochs, block).flat_map(steps).prefetch(_AHEAD)
    options = tf.data.Options()
    # its thread sleeps for seconds, and who drops the pipeline waits for it to wake
    options.autotune.enabled = False
    return found.with_options(options)
