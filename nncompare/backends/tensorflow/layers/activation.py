"""Activations in TensorFlow's operations."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.registry import default
from nncompare.backends.tensorflow.lowering import Lowered, Pass, lowering, native_lowering
from nncompare.spec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Softmax, Tanh


@lowering(Relu)
def relu(module: Lowered[Relu], x: Tensor, run: Pass) -> Tensor:
    """``max(x, 0)`` (Nair and Hinton 2010)."""
    return tf.nn.relu(x)


@lowering(LeakyRelu)
def leaky_relu(module: Lowered[LeakyRelu], x: Tensor, run: Pass) -> Tensor:
    """``x`` where positive, else ``slope x`` (Maas et al. 2013)."""
    if x.dtype == tf.float32:
        # the fused kernel's slope is a float32 attribute: exact for float32 only
        return tf.raw_ops.LeakyRelu(features=x, alpha=module.layer.slope)
    return tf.where(x > 0, x, module.constant(module.layer.slope) * x)


@native_lowering(LeakyRelu, slope=default(tf.nn.leaky_relu, "alpha"))
def native_leaky_relu(module: Lowered[LeakyRelu], x: Tensor, run: Pass) -> Tensor:
    """``tf.nn.leaky_relu``."""
    return tf.nn.leaky_relu(x, **module.layer.given(alpha="slope"))


@lowering(Gelu)
def gelu(module: Lowered[Gelu], x: Tensor, run: Pass) -> Tensor:
    """``x Phi(x)``, or ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`` (Hendrycks and Gimpel
    2016). ``tf.nn.gelu`` takes its constants through float32.
    """
    return _tanh_gelu(module, x) if module.layer.approximate else _exact_gelu(module, x)


def _exact_gelu(module: Lowered[Gelu], x: Tensor) -> Tensor:
    half = module.constant(0.5)
    one = module.constant(1.0)
    root = module.constant(math.sqrt(0.5))
    density = module.constant(1 / math.sqrt(2 * math.pi))

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def apply(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        phi = half * (one + tf.math.erf(x * root))

        def gradient(dy: Tensor) -> Tensor:
            # d/dx x Phi(x) = Phi(x) + x phi(x): Phi is kept, automatic differentiation would keep
            # four arrays
            return dy * (phi + x * density * tf.exp(-half * tf.square(x)))

        return x * phi, gradient

    return apply(x)


def _tanh_gelu(module: Lowered[Gelu], x: Tensor) -> Tensor:
    factor = module.constant(math.sqrt(2 / math.pi))
    inner = factor * (x + module.constant(0.044715) * x * x * x)
    return module.constant(0.5) * x * (module.constant(1.0) + tf.tanh(inner))


@native_lowering(Gelu, approximate=default(tf.nn.gelu, "approximate"))
def native_gelu(module: Lowered[Gelu], x: Tensor, run: Pass) -> Tensor:
    """``tf.nn.gelu``."""
    return tf.nn.gelu(x, **module.layer.given(approximate="approximate"))


@lowering(Sigmoid)
def sigmoid(module: Lowered[Sigmoid], x: Tensor, run: Pass) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return tf.sigmoid(x)


@lowering(Tanh)
def tanh(module: Lowered[Tanh], x: Tensor, run: Pass) -> Tensor:
    """The hyperbolic tangent."""
    return tf.tanh(x)


@lowering(Softmax)
def softmax(module: Lowered[Softmax], x: Tensor, run: Pass) -> Tensor:
    """Softmax over the last axis."""
    return tf.nn.softmax(x)
