"""Every layer in TensorFlow operations, on canonical layouts: images NHWC, kernels HWIO and ``(in,
out)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from nncompare.backends.registry import Unsupported
from nncompare.backends.tensorflow.attention import AttentionModule
from nncompare.backends.tensorflow.lowering import Context, Lowered, Pass, affine
from nncompare.backends.tensorflow.normalization import (
    BatchNormModule,
    DropoutModule,
    LayerNormModule,
)
from nncompare.backends.tensorflow.recurrent import GruModule, LstmModule, RnnModule
from nncompare.spec.layers import Conv2d, Gelu, LeakyRelu
from nncompare.spec.model import Node

Tensor = tf.Tensor


class DenseModule(Lowered):
    """``y = x W + b`` over the last axis. ``(N, …, in) -> (N, …, units)``."""

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return affine(x, self.weights["kernel"], self.weights.get("bias"))


class EmbeddingModule(Lowered):
    """Row ``token`` of a table. ``(N, T) -> (N, T, units)``."""

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return tf.gather(self.weights["table"], x)


class PositionModule(Lowered):
    """Adds a learned vector to every step (Gehring et al. 2017, section 3.1). ``(N, T, E) -> (N, T,
    E)``.
    """

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return x + self.weights["table"]


class ConvModule(Lowered):
    """Cross-correlation plus a bias (LeCun et al. 1998). ``(N, H, W, C) -> (N, H', W',
    filters)``.
    """

    layer: Conv2d

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        y = tf.nn.conv2d(
            x, self.weights["kernel"], strides=self.layer.stride, padding=self._padding()
        )
        return tf.nn.bias_add(y, self.weights["bias"]) if self.layer.bias else y

    def _padding(self) -> Any:
        # TensorFlow's own SAME puts an odd zero after, as spec.layers.pad_amounts defines it
        if isinstance(self.layer.padding, str):
            return self.layer.padding.upper()
        return [(0, 0), *self.layer.pads(self.node.input), (0, 0)]


class MaxPoolModule(Lowered):
    """Largest value of each window; padding never wins. ``(N, H, W, C) -> (N, H', W', C)``."""

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        layer: Any = self.layer
        return tf.nn.max_pool2d(x, layer.window(), layer.strides(), layer.padding.upper())


class AvgPoolModule(Lowered):
    """Mean of each window; TensorFlow does not count padding. ``(N, H, W, C) -> (N, H', W',
    C)``.
    """

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        layer: Any = self.layer
        return tf.nn.avg_pool2d(x, layer.window(), layer.strides(), layer.padding.upper())


class ShapeModule(Lowered):
    """Flatten and reshape: the same values in canonical order."""

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return tf.reshape(x, (-1, *self.node.output.shape))


class LastStepModule(Lowered):
    """``(N, T, F) -> (N, F)``."""

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return x[:, -1]


class MeanTimeModule(Lowered):
    """``(N, T, F) -> (N, F)``."""

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return tf.reduce_mean(x, axis=1)


class LeakyReluModule(Lowered):
    """``x`` where positive, else ``slope x`` (Maas et al. 2013)."""

    layer: LeakyRelu

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        if x.dtype == tf.float32:
            # the fused kernel's slope is a float32 attribute: exact for float32 only
            return tf.raw_ops.LeakyRelu(features=x, alpha=self.layer.slope)
        return tf.where(x > 0, x, self.constant(self.layer.slope) * x)


class GeluModule(Lowered):
    """``x Phi(x)``, or ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`` (Hendrycks and Gimpel
    2016).

    ``tf.nn.gelu`` takes its constants through float32.
    """

    layer: Gelu

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return self._tanh_form(x) if self.layer.approximate else self._exact(x)

    def _exact(self, x: Tensor) -> Tensor:
        half, one, root = self.constant(0.5), self.constant(1.0), self.constant(math.sqrt(0.5))
        density = self.constant(1 / math.sqrt(2 * math.pi))

        @tf.custom_gradient
        def gelu(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            phi = half * (one + tf.math.erf(x * root))

            def gradient(dy: Tensor) -> Tensor:
                # d/dx x Phi(x) = Phi(x) + x phi(x): Phi is kept, automatic differentiation would
                # keep four arrays
                return dy * (phi + x * density * tf.exp(-half * tf.square(x)))

            return x * phi, gradient

        return gelu(x)

    def _tanh_form(self, x: Tensor) -> Tensor:
        inner = self.constant(math.sqrt(2 / math.pi)) * (x + self.constant(0.044715) * x * x * x)
        return self.constant(0.5) * x * (self.constant(1.0) + tf.tanh(inner))


class ActivationModule(Lowered):
    """relu (Nair and Hinton 2010), sigmoid, tanh, and softmax over the last axis."""

    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": tf.nn.relu,
        "sigmoid": tf.sigmoid,
        "tanh": tf.tanh,
        "softmax": tf.nn.softmax,
    }

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return self.functions[self.layer.type](x)


class ResidualModule(Lowered):
    """``y = shortcut(x) + layers(x)`` (He et al. 2016)."""

    def __init__(self, node: Node, context: Context):
        super().__init__(node, context)
        self.children = chain(node.children, context)
        self.shortcut = chain(node.shortcut, context)

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return forward(self.shortcut, x, run) + forward(self.children, x, run)


LOWERINGS: dict[str, Callable[[Node, Context], Lowered]] = {
    "dense": DenseModule,
    "conv2d": ConvModule,
    "max_pool2d": MaxPoolModule,
    "avg_pool2d": AvgPoolModule,
    "flatten": ShapeModule,
    "reshape": ShapeModule,
    "embedding": EmbeddingModule,
    "position": PositionModule,
    "rnn": RnnModule,
    "lstm": LstmModule,
    "gru": GruModule,
    "attention": AttentionModule,
    "layer_norm": LayerNormModule,
    "batch_norm": BatchNormModule,
    "dropout": DropoutModule,
    "relu": ActivationModule,
    "leaky_relu": LeakyReluModule,
    "gelu": GeluModule,
    "sigmoid": ActivationModule,
    "tanh": ActivationModule,
    "softmax": ActivationModule,
    "residual": ResidualModule,
    "last_step": LastStepModule,
    "mean_time": MeanTimeModule,
}
"""Layer type -> its module."""

UNSUPPORTED: dict[str, str] = {}
"""Layer type -> why this backend lacks it."""


def lower(node: Node, context: Context) -> Lowered:
    """The module of a node, with those inside it; all weights zero.

    Raises:
        Unsupported: the backend lacks this layer.
    """
    kind = node.layer.type
    if kind not in LOWERINGS:
        raise Unsupported(
            f"{kind}: {UNSUPPORTED.get(kind, 'the tensorflow backend has no lowering for it')}"
        )
    return context.native.get(kind, LOWERINGS[kind])(node, context)


def chain(nodes: Sequence[Node], context: Context) -> list[Lowered]:
    """The modules of nodes in order."""
    return [lower(node, context) for node in nodes]


def forward(modules: Sequence[Lowered], x: Tensor, run: Pass) -> Tensor:
    """The modules one after the other; no module: ``x`` itself."""
    for module in modules:
        x = module(x, run)
    return x
