"""Activations as Keras layers."""

from __future__ import annotations

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
    return keras.layers.Activation(lambda x: ops.where(x > 0, x, x * slope), name=node.name)(x)


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
    return 0.5 * x * (1 + ops.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * ops.power(x, 3))))


@native_lowering(Gelu, approximate=default(keras.activations.gelu, "approximate"))
def native_gelu(node: Node[Gelu], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.activations.gelu``."""
    own = node.layer.given(approximate="approximate")
    return keras.layers.Activation(lambda x: keras.activations.gelu(x, **own), name=node.name)(x)


@lowering(Sigmoid)
def sigmoid(node: Node[Sigmoid], x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's, hidden from its losses."""
    return keras.layers.Activation(lambda x: _opaque(ops.sigmoid(x)), name=node.name)(x)


@native_lowering(Sigmoid)
def native_sigmoid(node: Node[Sigmoid], x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's; as the last layer its loss takes it back."""
    return keras.layers.Activation("sigmoid", name=node.name)(x)


@lowering(Tanh)
def tanh(node: Node[Tanh], x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's."""
    return keras.layers.Activation("tanh", name=node.name)(x)


@lowering(Softmax)
def softmax(node: Node[Softmax], x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's over the last axis, hidden from its losses."""
    return keras.layers.Activation(lambda x: _opaque(ops.softmax(x)), name=node.name)(x)


@native_lowering(Softmax)
def native_softmax(node: Node[Softmax], x: KerasTensor, build: Build) -> KerasTensor:
    """Keras's; as the last layer its loss takes it back."""
    return keras.layers.Activation("softmax", name=node.name)(x)


def _opaque(y: KerasTensor) -> KerasTensor:
    """Hides the operation from Keras's losses: they look for a softmax or sigmoid before them and
    take it back.
    """
    return tf.identity(y)
