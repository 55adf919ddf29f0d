"""Every layer as a Keras layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from nncompare.backends.keras.attention import attention
from nncompare.backends.keras.dropout import dropout
from nncompare.backends.keras.lowering import Builder, Lowering, lower
from nncompare.backends.keras.recurrent import gru, lstm, rnn
from nncompare.spec.layers.convolution import pad_amounts
from nncompare.spec.model import Node


def _dense(node: Node, x: Any, into: Lowering) -> Any:
    spec: Any = node.layer
    layer = keras.layers.Dense(
        spec.units, use_bias=spec.bias, kernel_regularizer=into.regularizer, name=node.name
    )
    y = layer(x)
    into.bind(node, kernel=layer.kernel, **({"bias": layer.bias} if spec.bias else {}))
    return y


def _conv2d(node: Node, x: Any, into: Lowering) -> Any:
    spec: Any = node.layer
    x, padding = _pad(node, x)
    layer = keras.layers.Conv2D(
        spec.filters,
        spec.kernel,
        strides=spec.stride,
        padding=padding,
        use_bias=spec.bias,
        kernel_regularizer=into.regularizer,
        name=node.name,
    )
    y = layer(x)
    into.bind(node, kernel=layer.kernel, **({"bias": layer.bias} if spec.bias else {}))
    return y


def _pad(node: Node, x: Any) -> tuple[Any, str]:
    """Keras's own padding where it gives the layer's amounts, which is the fast path; else zeros
    put around.
    """
    spec: Any = node.layer
    amounts = spec.pads(node.input)
    for padding in ("valid", "same"):
        sizes = zip(node.input.shape[:2], spec.window(), spec.strides(), strict=True)
        if amounts == tuple(pad_amounts(*size, padding) for size in sizes):
            return x, padding
    return keras.layers.ZeroPadding2D(amounts, name=f"{node.name}_pad")(x), "valid"


def _max_pool2d(node: Node, x: Any, _: Lowering) -> Any:
    spec: Any = node.layer
    return keras.layers.MaxPooling2D(
        spec.pool, spec.strides(), padding=spec.padding, name=node.name
    )(x)


def _avg_pool2d(node: Node, x: Any, _: Lowering) -> Any:
    spec: Any = node.layer
    return keras.layers.AveragePooling2D(
        spec.pool, spec.strides(), padding=spec.padding, name=node.name
    )(x)


def _flatten(node: Node, x: Any, _: Lowering) -> Any:
    return keras.layers.Flatten(name=node.name)(x)


def _reshape(node: Node, x: Any, _: Lowering) -> Any:
    return keras.layers.Reshape(node.output.shape, name=node.name)(x)


def _last_step(_: Node, x: Any, __: Lowering) -> Any:
    return x[:, -1]


def _mean_time(node: Node, x: Any, _: Lowering) -> Any:
    return keras.layers.GlobalAveragePooling1D(name=node.name)(x)


def _embedding(node: Node, x: Any, into: Lowering) -> Any:
    layer = keras.layers.Embedding(node.input.vocabulary, node.output.shape[-1], name=node.name)
    y = layer(x)
    into.bind(node, table=layer.embeddings)
    return y


class Position(keras.layers.Layer):
    """Adds a learned vector to every step (Gehring et al. 2017). ``(N, T, E) -> (N, T, E)``."""

    def __init__(self, *, start: str = "zeros", name: str):
        super().__init__(name=name)
        self._start = start

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight(name="table", shape=input_shape[1:], initializer=self._start)

    def call(self, inputs: Any) -> Any:
        return inputs + self.table


def _position(node: Node, x: Any, into: Lowering) -> Any:
    layer = Position(name=node.name)
    y = layer(x)
    into.bind(node, table=layer.table)
    return y


def _layer_norm(node: Node, x: Any, into: Lowering) -> Any:
    spec: Any = node.layer
    layer = keras.layers.LayerNormalization(epsilon=spec.epsilon, name=node.name)
    y = layer(x)
    into.bind(node, scale=layer.gamma, bias=layer.beta)
    return y


class UnbiasedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization whose running variance takes the unbiased batch variance.

    (Ioffe and Szegedy 2015, Algorithm 2.) Keras's layer takes the biased one; everything else is
    Keras's.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training:
            return super().call(inputs, training=training, mask=mask)
        mean, variance = ops.moments(inputs, axes=self._reduction_axes)
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


def _batch_norm(node: Node, x: Any, into: Lowering) -> Any:
    spec: Any = node.layer
    layer = UnbiasedBatchNormalization(
        momentum=1 - spec.momentum, epsilon=spec.epsilon, name=node.name
    )
    y = layer(x)
    into.bind(
        node,
        scale=layer.gamma,
        bias=layer.beta,
        running_mean=layer.moving_mean,
        running_variance=layer.moving_variance,
    )
    return y


def _relu(node: Node, x: Any, _: Lowering) -> Any:
    return keras.layers.ReLU(name=node.name)(x)


def _leaky_relu(node: Node, x: Any, into: Lowering) -> Any:
    spec: Any = node.layer
    if into.dtype == "float32":
        return keras.layers.LeakyReLU(spec.slope, name=node.name)(x)
    # TensorFlow's kernel holds the slope in float32
    return keras.layers.Activation(lambda x: ops.where(x > 0, x, x * spec.slope), name=node.name)(x)


def exact_gelu(x: Any) -> Any:
    """``x Phi(x)`` (Hendrycks and Gimpel 2016); the constant of ``tf.nn.gelu`` is rounded to
    float32.
    """
    return 0.5 * x * (1 + ops.erf(x / np.sqrt(2)))


def tanh_gelu(x: Any) -> Any:
    """``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``, the same authors' approximation."""
    return 0.5 * x * (1 + ops.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * ops.power(x, 3))))


def _gelu(node: Node, x: Any, _: Lowering) -> Any:
    spec: Any = node.layer
    return keras.layers.Activation(tanh_gelu if spec.approximate else exact_gelu, name=node.name)(x)


def _sigmoid(node: Node, x: Any, _: Lowering) -> Any:
    return keras.layers.Activation(lambda x: _opaque(ops.sigmoid(x)), name=node.name)(x)


def _tanh(node: Node, x: Any, _: Lowering) -> Any:
    return keras.layers.Activation("tanh", name=node.name)(x)


def _softmax(node: Node, x: Any, _: Lowering) -> Any:
    return keras.layers.Activation(lambda x: _opaque(ops.softmax(x)), name=node.name)(x)


def _opaque(y: Any) -> Any:
    """Hides the operation from Keras's losses: they look for a softmax or sigmoid before them and
    take it back.
    """
    return tf.identity(y)


def _residual(node: Node, x: Any, into: Lowering) -> Any:
    inner = outer = x
    for child in node.children:
        inner = lower(child, inner, into)
    for child in node.shortcut:
        outer = lower(child, outer, into)
    return keras.layers.Add(name=node.name)([outer, inner])


LOWERINGS: dict[str, Builder] = {
    "dense": _dense,
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "flatten": _flatten,
    "reshape": _reshape,
    "embedding": _embedding,
    "position": _position,
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "attention": attention,
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "dropout": dropout,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softmax": _softmax,
    "residual": _residual,
    "last_step": _last_step,
    "mean_time": _mean_time,
}
"""Layer type -> its builder."""

UNSUPPORTED: dict[str, str] = {}
"""Layer type -> why Keras cannot have it."""
