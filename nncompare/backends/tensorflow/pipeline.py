"""Data on their way to the device, and a piece of the plan as runs of equal batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nncompare.backends.base import Array, Piece
from nncompare.backends.engines.tensorflow.runtime import Placement
from nncompare.numerics.batches import BatchPlan


def stage(array: Array, placement: Placement, dtype: tf.DType) -> tf.Tensor:
    """A tensor on the device: floats in ``dtype``, integers in the device's own type."""
    with placement.scope():
        return tf.constant(array, dtype if array.dtype.kind == "f" else placement.integer)


class Run(NamedTuple):
    """Steps of equal batches: the first step, how many steps, examples a step."""

    begin: int
    steps: int
    size: int


def batches(plan: BatchPlan, piece: Piece, *, single: bool) -> list[Run]:
    """The piece as its full batches, then the smaller last batch of an epoch; ``single``: every
    step by itself.
    """
    sizes = plan.sizes(piece.begin, piece.end)
    if single:
        return [Run(piece.begin + k, 1, int(size)) for k, size in enumerate(sizes)]
    full = int(np.count_nonzero(sizes == plan.batch_size))
    runs = [
        Run(piece.begin, full, plan.batch_size),
        Run(piece.begin + full, len(sizes) - full, int(sizes[-1])),
    ]
    return [run for run in runs if run.steps]


class Padding:
    """Makes arrays as long as the longest so far.

    A loop is traced for a length, and a parity check after the training, which takes seconds less
    without another trace, reads the first rows alone. (Traced for any length, a step of a small MLP
    takes 5 % more.)
    """

    def __init__(self) -> None:
        self._longest = 0

    def pad(self, array: Array) -> Array:
        """The array with rows of zeros behind it."""
        self._longest = max(self._longest, len(array))
        missing = (self._longest - len(array), *array.shape[1:])
        return np.concatenate([array, np.zeros(missing, array.dtype)])
