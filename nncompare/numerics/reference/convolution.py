"""Convolution and pooling on NHWC images, through a view of all windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nncompare.numerics.reference.registry import formula
from nncompare.numerics.reference.run import Array, Params, Run
from nncompare.numerics.semantics import PooledPadding
from nncompare.spec.layers.convolution import AvgPool2d, Conv2d, MaxPool2d
from nncompare.spec.model import Node


def windows(node: Node, x: Array, fill: float) -> Array:
    """``(N, H, W, C) -> (N, H', W', C, window height, window width)``, padded with ``fill``."""
    layer: Any = node.layer  # conv2d or a pool: both have window, strides and pads
    (down, across), (top_bottom, left_right) = layer.strides(), layer.pads(node.input)
    padded = np.pad(x, ((0, 0), top_bottom, left_right, (0, 0)), constant_values=fill)
    return sliding_window_view(padded, layer.window(), axis=(1, 2))[:, ::down, ::across]


@formula(Conv2d)
def conv2d(node: Node, p: Params, x: Array, run: Run) -> Array:
    """Cross-correlation with HWIO kernels plus bias (LeCun et al. 1998). ``(N, H, W, C) -> (N, H',
    W', filters)``.
    """
    y = np.tensordot(windows(node, x, 0.0), p["kernel"], axes=((4, 5, 3), (0, 1, 2)))
    return y + p["bias"] if "bias" in p else y


@formula(MaxPool2d)
def max_pool2d(node: Node, p: Params, x: Array, run: Run) -> Array:
    """Largest value of each window; padding never wins."""
    places = windows(node, x, -np.inf)
    places = places.reshape(*places.shape[:4], -1)
    largest = run.hold(node, places.argmax(axis=-1)[..., None])
    return np.asarray(np.take_along_axis(places, largest, axis=-1)[..., 0])


@formula(AvgPool2d)
def avg_pool2d(node: Node, p: Params, x: Array, run: Run) -> Array:
    """Mean of each window over its real values; padding is not counted, or as a zero where
    ``Semantics.pooled_padding`` says so.
    """
    if run.semantics.pooled_padding is PooledPadding.COUNTED:
        return np.asarray(windows(node, x, 0.0).mean(axis=(4, 5)))
    # a window of ones, padded with zeros, counts the real values
    counts = windows(node, np.ones((1, *node.input.shape)), 0.0).sum(axis=(4, 5))
    return np.asarray(windows(node, x, 0.0).sum(axis=(4, 5)) / counts)
