"""Gradients as TensorFlow hands them to an optimizer."""

from __future__ import annotations

import tensorflow as tf

from nncompare.backends.base import Array


def table_squares(gradient: tf.Tensor | tf.IndexedSlices, tokens: int) -> Array | None:
    """The sum of squared gradients over the occurrences of each token, ``(tokens, units)``; None
    for a gradient that is not of a table.

    Args:
        gradient: of a table one slice for each occurrence of a token.
        tokens: rows of the table.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return None
    squares = tf.square(gradient.values)
    summed: Array = tf.math.unsorted_segment_sum(squares, gradient.indices, tokens).numpy()
    return summed
