"""Layer normalization, batch normalization and dropout."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, ops

from nncompare.backends.keras.lowering import Build, lowering
from nncompare.backends.registry import default
from nncompare.numerics.keys import generator
from nncompare.numerics.masks import keep_mask
from nncompare.spec.layers.normalization import BatchNorm, Dropout, LayerNorm
from nncompare.spec.model import Node


@lowering(LayerNorm, epsilon=default(keras.layers.LayerNormalization, "epsilon"))
def layer_norm(node: Node[LayerNorm], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.LayerNormalization`` over the last axis."""
    layer = keras.layers.LayerNormalization(**node.layer.given(epsilon="epsilon"), name=node.name)
    y = layer(x)
    build.store(node, scale=layer.gamma, bias=layer.beta)
    return y


class _UnbiasedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalization whose running variance takes the unbiased batch variance (Ioffe and
    Szegedy 2015, Algorithm 2). Keras's layer takes the biased one; everything else is Keras's.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        # inference uses the running statistics as Keras does
        if not training:
            return super().call(inputs, training=training, mask=mask)
        mean, variance = ops.moments(inputs, axes=self._reduction_axes)
        # the unbiased variance of a single value does not exist and counts as 0
        count = ops.cast(ops.size(inputs) // inputs.shape[-1], inputs.dtype)
        unbiased = variance * (count / ops.maximum(count - 1, 1))
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, unbiased)
        return ops.batch_normalization(
            inputs,
            mean,
            variance,
            axis=self.axis,
            offset=self.beta,
            scale=self.gamma,
            epsilon=self.epsilon,
        )

    def _move(self, running: Any, batch: Any) -> None:
        running.assign(running * self.momentum + batch * (1 - self.momentum))


@lowering(
    BatchNorm,
    epsilon=default(keras.layers.BatchNormalization, "epsilon"),
    momentum=1 - default(keras.layers.BatchNormalization, "momentum"),
)
def batch_norm(node: Node[BatchNorm], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.BatchNormalization``, aligned with the unbiased running variance."""
    kind = keras.layers.BatchNormalization if build.native else _UnbiasedBatchNormalization
    own = node.layer.given(epsilon="epsilon", momentum="momentum")
    if "momentum" in own:
        # Keras's momentum is the weight of the old statistics, ours that of the new ones
        own["momentum"] = 1 - node.layer.momentum
    layer = kind(**own, name=node.name)
    y = layer(x)
    build.store(
        node,
        scale=layer.gamma,
        bias=layer.beta,
        running_mean=layer.moving_mean,
        running_variance=layer.moving_variance,
    )
    return y


class _MaskedDropout(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """Inverted dropout with masks from ``numerics.masks``: ``x keep / (1 - rate)`` in training.

    For parity checks. The mask of the next batch must be set by ``draw`` before the step.
    """

    def __init__(self, rate: float, *, seed: int, shape: tuple[int, ...], name: str, dtype: str):
        super().__init__(name=name)
        self._rate = rate
        self._seed = seed
        self._shape = shape
        # 0 and 1 as floats, since GPUs keep no boolean variables
        self._keep = tf.Variable(np.ones((1, *shape), dtype), shape=(None, *shape), trainable=False)

    def draw(self, step: int, examples: int) -> None:
        """Sets the mask of one step of training."""
        mask = keep_mask(self._seed, self.name, step, (examples, *self._shape), self._rate)
        self._keep.assign(mask.astype(self._keep.dtype.as_numpy_dtype))

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs * self._keep / (1 - self._rate) if training else inputs


@lowering(Dropout)
def dropout(node: Node[Dropout], x: KerasTensor, build: Build) -> KerasTensor:
    """Inverted dropout: in training ``x / (1 - rate)`` where kept, else 0. Any shape, kept."""
    rate = node.layer.rate
    if not build.masked:
        # without a seed Keras takes one from its global generator, in the order of the layers
        own = int(generator(build.seed, f"dropout/{node.name}").integers(2**31))
        return keras.layers.Dropout(rate, seed=own, name=node.name)(x)
    layer = _MaskedDropout(
        rate, seed=build.seed, shape=node.output.shape, name=node.name, dtype=build.dtype
    )
    build.dropouts.append(layer)
    return layer(x)
