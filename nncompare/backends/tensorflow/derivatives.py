"""Derivatives of a formula in TensorFlow's operations."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction

import tensorflow as tf

from nncompare.backends.engines.tensorflow.derivatives import EngineDerivatives

_NAMED = (
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "erf",
    "sigmoid",
    "softplus",
    "abs",
    "negative",
    "sign",
)


class Tensors:
    """TensorFlow tensors as an arithmetic; numbers are made in the dtype, never in TensorFlow's
    float32.
    """

    functions: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
        **{name: getattr(tf.math, name) for name in _NAMED},
        **{name: getattr(tf.nn, name) for name in ("silu", "gelu", "relu")},
        "step": lambda u: tf.cast(u > 0, u.dtype),
    }
    operators: Mapping[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "**": tf.pow,
    }

    def __init__(self, dtype: tf.DType):
        self.dtype = dtype

    def number(self, value: Fraction) -> tf.Tensor:
        """``value`` in the dtype."""
        return tf.constant(float(value), self.dtype)

    def constant(self, name: str) -> tf.Tensor:
        """``pi`` or ``e`` in the dtype."""
        return tf.constant(math.pi if name == "pi" else math.e, self.dtype)


DERIVATIVES = EngineDerivatives(
    Tensors,
    how={
        "value": "TensorFlow operations",
        "reverse": "tf.GradientTape",
        "forward": "tf.autodiff.ForwardAccumulator",
    },
    notes={
        "gelu": "gelu: tf.nn.gelu takes its constant through float32, off by about 4e-9 in float64"
    },
)
