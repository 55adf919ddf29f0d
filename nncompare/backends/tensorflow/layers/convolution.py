"""Convolution and pooling on images ``(N, H, W, C)``."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.tensorflow.lowering import Lowered, Pass, lowering
from nncompare.spec.layers.convolution import AvgPool2d, Conv2d, MaxPool2d


@lowering(Conv2d)
def conv2d(module: Lowered[Conv2d], x: Tensor, run: Pass) -> Tensor:
    """Cross-correlation plus a bias (LeCun et al. 1998). ``(N, H, W, C) -> (N, H', W',
    filters)``.
    """
    layer = module.layer
    y = tf.nn.conv2d(x, module.weights["kernel"], strides=layer.stride, padding=_padding_of(module))
    return tf.nn.bias_add(y, module.weights["bias"]) if layer.bias else y


def _padding_of(module: Lowered[Conv2d]) -> Any:
    """A word where TensorFlow has one, or amounts for each axis."""
    layer = module.layer
    # TensorFlow's own SAME puts an odd zero after, as spec.layers.pad_amounts defines it
    if isinstance(layer.padding, str):
        return layer.padding.upper()
    return [(0, 0), *layer.pads(module.node.input), (0, 0)]


@lowering(MaxPool2d)
def max_pool2d(module: Lowered[MaxPool2d], x: Tensor, run: Pass) -> Tensor:
    """Largest value of each window; padding never wins. ``(N, H, W, C) -> (N, H', W', C)``."""
    layer = module.layer
    return tf.nn.max_pool2d(x, layer.window(), layer.strides(), layer.padding.upper())


@lowering(AvgPool2d)
def avg_pool2d(module: Lowered[AvgPool2d], x: Tensor, run: Pass) -> Tensor:
    """Mean of each window; TensorFlow does not count padding. ``(N, H, W, C) -> (N, H', W',
    C)``.
    """
    layer = module.layer
    return tf.nn.avg_pool2d(x, layer.window(), layer.strides(), layer.padding.upper())
