"""Dropout as Keras draws it, and from masks that every backend shares."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nncompare.backends.keras.lowering import Lowering
from nncompare.numerics.keys import generator
from nncompare.numerics.masks import keep_mask
from nncompare.spec.model import Node


class MaskedDropout(keras.layers.Layer):
    """Inverted dropout with masks from ``numerics.masks``: ``x keep / (1 - rate)`` in training.

    For parity checks. The mask of the next batch must be set by ``draw`` before the step.
    """

    def __init__(self, rate: float, *, seed: int, shape: tuple[int, ...], name: str, dtype: str):
        super().__init__(name=name)
        self._rate, self._seed, self._shape = rate, seed, shape
        # 0 and 1 as floats, since GPUs keep no boolean variables
        self._keep = tf.Variable(np.ones((1, *shape), dtype), shape=(None, *shape), trainable=False)

    def draw(self, step: int, examples: int) -> None:
        """Sets the mask of one step of training."""
        mask = keep_mask(self._seed, self.name, step, (examples, *self._shape), self._rate)
        self._keep.assign(mask.astype(self._keep.dtype.as_numpy_dtype))

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs * self._keep / (1 - self._rate) if training else inputs


def dropout(node: Node, x: Any, into: Lowering) -> Any:
    """Inverted dropout: in training ``x / (1 - rate)`` where kept, else 0. Any shape, kept."""
    spec: Any = node.layer
    seed = into.job.seed
    if into.job.dropout == "framework":
        own = int(generator(seed, f"dropout/{node.name}").integers(2**31))
        return keras.layers.Dropout(spec.rate, seed=own, name=node.name)(x)
    layer = MaskedDropout(
        spec.rate, seed=seed, shape=node.output.shape, name=node.name, dtype=into.dtype
    )
    into.masked.append(layer)
    return layer(x)
