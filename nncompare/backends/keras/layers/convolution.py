"""Convolution and pooling on images ``(N, H, W, C)``."""

from __future__ import annotations

import keras
from keras import KerasTensor

from nncompare.backends.keras.lowering import Build, lowering
from nncompare.spec.layers.convolution import AvgPool2d, Conv2d, MaxPool2d, pad_amounts
from nncompare.spec.model import Node


@lowering(Conv2d)
def conv2d(node: Node[Conv2d], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.Conv2D``."""
    spec = node.layer
    padding = _own_padding(node)
    if padding is None:
        # amounts in the file that are neither of Keras's words
        amounts = spec.pads(node.input)
        x = keras.layers.ZeroPadding2D(amounts, name=f"{node.name}_pad")(x)
    layer = keras.layers.Conv2D(
        spec.filters,
        spec.kernel,
        strides=spec.stride,
        padding=padding or "valid",
        use_bias=spec.bias,
        kernel_regularizer=build.regularizer,
        name=node.name,
    )
    y = layer(x)
    build.store(node, kernel=layer.kernel, bias=layer.bias)
    return y


def _own_padding(node: Node[Conv2d]) -> str | None:
    """Keras's own padding where it gives the layer's amounts, which is the fast path; None where
    zeros must be put around.
    """
    spec = node.layer
    for padding in ("valid", "same"):
        sizes = zip(node.input.shape[:2], spec.window(), spec.strides(), strict=True)
        if spec.pads(node.input) == tuple(pad_amounts(*size, padding) for size in sizes):
            return padding
    return None


@lowering(MaxPool2d)
def max_pool2d(node: Node[MaxPool2d], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.MaxPooling2D``; padding never wins."""
    spec = node.layer
    return keras.layers.MaxPooling2D(spec.pool, spec.strides(), spec.padding, name=node.name)(x)


@lowering(AvgPool2d)
def avg_pool2d(node: Node[AvgPool2d], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.AveragePooling2D``, which does not count padding."""
    spec = node.layer
    pool = keras.layers.AveragePooling2D
    return pool(spec.pool, spec.strides(), spec.padding, name=node.name)(x)
