"""Gradients as TensorFlow hands them to an optimizer."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

from nncompare.backends.base import Params


def table_squares(gradients: Iterable[tuple[str, tf.Tensor | tf.IndexedSlices]]) -> Params:
    """For every table the sum of squared gradients over the occurrences of each token, ``(tokens,
    units)``.

    Args:
        gradients: by the names of their parameters; that of a table has one slice for each
            occurrence of a token.
    """
    found: Params = {}
    for name, gradient in gradients:
        if isinstance(gradient, tf.IndexedSlices):
            squares = tf.square(gradient.values)
            tokens = gradient.dense_shape[0]
            found[name] = tf.math.unsorted_segment_sum(squares, gradient.indices, tokens).numpy()
    return found
