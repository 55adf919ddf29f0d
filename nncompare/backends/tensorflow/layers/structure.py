"""Layers that move values without computing much: shapes, selections, residuals."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.tensorflow.lowering import Lowered, Pass, forward, lowering
from nncompare.spec.layers.structure import Flatten, LastStep, MeanTime, Reshape, Residual


@lowering(Flatten)
def flatten(module: Lowered[Flatten], x: Tensor, run: Pass) -> Tensor:
    """The same values in canonical order, as one axis."""
    return tf.reshape(x, (-1, *module.node.output.shape))


@lowering(Reshape)
def reshape(module: Lowered[Reshape], x: Tensor, run: Pass) -> Tensor:
    """The same values in canonical order."""
    return tf.reshape(x, (-1, *module.node.output.shape))


@lowering(LastStep)
def last_step(module: Lowered[LastStep], x: Tensor, run: Pass) -> Tensor:
    """``(N, T, F) -> (N, F)``."""
    return x[:, -1]


@lowering(MeanTime)
def mean_time(module: Lowered[MeanTime], x: Tensor, run: Pass) -> Tensor:
    """``(N, T, F) -> (N, F)``."""
    return tf.reduce_mean(x, axis=1)


@lowering(Residual)
def residual(module: Lowered[Residual], x: Tensor, run: Pass) -> Tensor:
    """``y = shortcut(x) + layers(x)`` (He et al. 2016)."""
    return forward(module.shortcut, x, run) + forward(module.children, x, run)
