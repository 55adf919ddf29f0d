"""Activations as Keras layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, ops

from nncompare.backends.keras.lowering import Build, lowering, native_lowering
from nncompare.backends.registry import default
from nncompare.spec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Softmax, Tanh
from nncompare.spec.model import Node


@lowering(Relu)
def relu(node: Node[Relu], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.ReLU``."""
    return keras.layers.ReLU(name=node.name)(x)


@lowering(LeakyRelu)
def leaky_relu(node: Node[LeakyRelu], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.LeakyReLU``, or in float64 its formula."""
    if build.dtype == "float32":
        return native_leaky_relu(node, x, build)
    # TensorFlow's kernel holds the slope in float32
    slope = node.layer.slope

    def formula(x: KerasTensor) -> KerasTensor:
        return ops.where(x > 0, x, x * slope)

    return keras.layers.Activation(formula, name=node.name)(x)


@native_lowering(LeakyRelu, slope=default(keras.layers.LeakyReLU, "negative_slope"))
def native_leaky_relu(node: Node[LeakyRelu], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.LeakyReLU``."""
    return keras.layers.LeakyReLU(**node.layer.given(negative_slope="slope"), name=node.name)(x)


@lowering(Gelu)
def gelu(node: Node[Gelu], x: KerasTensor, build: Build) -> KerasTensor:
    """GELU in operations: the constant of ``tf.nn.gelu`` is rounded to float32."""
    function = _tanh_gelu if node.layer.approximate else _exact_gelu
    return keras.layers.Activation(function, name=node.name)(x)


def _exact_gelu(x: KerasTensor) -> KerasTensor:
    """``x Phi(x)`` (Hendrycks and Gimpel 2016)."""
    return 0.5 * x * (1 + ops.erf(x / np.sqrt(2)))


def _tanh_gelu(x: KerasTensor) -> KerasTensor:
    """``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``, the same authors' approximation."""
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * ops.power(x, 3))
    return 0.5 * x * (1 + ops.tanh(inner))


@native_lowering(Gelu, approximate=default(keras.activations.gelu, "approximate"))
def native_gelu(node: Node[Gelu], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.activations.gelu``."""
    own = node.layer.given(approximate="approximate")
    function = partial(keras.activations.gelu, **own)
    return keras.layers.Activation(function, name=node.name)(x)


@lowering(Sigmoid)
def sigmoid(node: Node[Sigmoid], x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's, aligned hidden from its losses."""
    return _probabilities(keras.activations.sigmoid, node, x, build)


@lowering(Tanh)
def tanh(node: Node[Tanh], x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's."""
    return keras.layers.Activation("tanh", name=node.name)(x)


@lowering(Softmax)
def softmax(node: Node[Softmax], x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's over the last axis, aligned hidden from its losses."""
    return _probabilities(keras.activations.softmax, node, x, build)


def _probabilities(function: Any, node: Node, x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's losses look for a softmax or sigmoid before them and take it back: natively they may,
    else an operation that changes nothing stands between.
    """
    shown = function if build.native else lambda x: tf.identity(function(x))
    return keras.layers.Activation(shown, name=node.name)(x)
