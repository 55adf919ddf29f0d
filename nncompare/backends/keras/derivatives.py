"""Derivatives of a formula in ``keras.ops``, differentiated by the engine that Keras runs on, since
Keras 3 has no automatic differentiation of its own. The report says so.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction

import tensorflow as tf
from keras import ops

from nncompare.backends.engines.tensorflow.derivatives import EngineDerivatives

_NAMED = (
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "erf",
    "sigmoid",
    "softplus",
    "silu",
    "relu",
    "abs",
    "negative",
    "sign",
)


class Tensors:
    """Keras tensors as an arithmetic; numbers are made in the dtype, never in Keras's
    ``floatx``.
    """

    functions: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
        **{name: getattr(ops, name) for name in _NAMED},
        "asin": ops.arcsin,
        "acos": ops.arccos,
        "atan": ops.arctan,
        "gelu": lambda u: ops.gelu(u, approximate=False),
        "step": lambda u: ops.cast(u > 0, u.dtype),
    }
    operators: Mapping[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "**": ops.power,
    }

    def __init__(self, dtype: tf.DType):
        self.dtype = dtype

    def number(self, value: Fraction) -> tf.Tensor:
        """``value`` in the dtype."""
        return ops.convert_to_tensor(float(value), self.dtype)

    def constant(self, name: str) -> tf.Tensor:
        """``pi`` or ``e`` in the dtype."""
        return ops.convert_to_tensor(math.pi if name == "pi" else math.e, self.dtype)


DERIVATIVES = EngineDerivatives(
    Tensors,
    how={
        "value": "keras.ops",
        "reverse": "tf.GradientTape over keras.ops",
        "forward": "tf.autodiff.ForwardAccumulator over keras.ops",
    },
    notes={
        "gelu": (
            "gelu: Keras leaves it to tf.nn.gelu, whose constant passes through float32: off by"
            " about 4e-9"
        )
    },
)
