"""Derivatives of a formula by TensorFlow's automatic differentiation."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction

import tensorflow as tf

from nncompare.backends.derivatives import Array, Mode
from nncompare.formulas.expression import Expression, evaluate

Function = Callable[[tf.Tensor], tf.Tensor]

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
)


class Tensors:
    """TensorFlow tensors as an arithmetic; numbers are made in the dtype, never in TensorFlow's
    float32.
    """

    functions = {
        **{
            name: getattr(tf.math, name)
            for name in (*_NAMED, "softplus", "abs", "negative", "sign")
        },
        **{name: getattr(tf.nn, name) for name in ("silu", "gelu", "relu")},
        "step": lambda u: tf.cast(u > 0, u.dtype),
    }
    operators = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "**": tf.pow,
    }

    def __init__(self, dtype: tf.DType):
        self.dtype = dtype

    def number(self, value: Fraction) -> tf.Tensor:
        return tf.constant(float(value), self.dtype)

    def constant(self, name: str) -> tf.Tensor:
        return tf.constant(math.pi if name == "pi" else math.e, self.dtype)


class TensorflowDerivatives:
    """``tensorflow`` and ``tensorflow:xla`` (see ``backends.derivatives.Derivatives``)."""

    how = {
        "value": "TensorFlow operations",
        "reverse": "tf.GradientTape",
        "forward": "tf.autodiff.ForwardAccumulator",
    }
    notes = {
        "gelu": "gelu: tf.nn.gelu takes its constant through float32, off by about 4e-9 in float64"
    }

    def __init__(self) -> None:
        self.compiled = False

    def configure(self, mode: str, threads: int) -> None:
        self.compiled = mode == "xla"
        threading = tf.config.threading
        # only before TensorFlow has started
        if threading.get_intra_op_parallelism_threads() != threads:
            threading.set_intra_op_parallelism_threads(threads)
        if threading.get_inter_op_parallelism_threads() != 1:
            threading.set_inter_op_parallelism_threads(1)

    def why_not(self, mode: Mode, order: int) -> str | None:
        return None

    def value(self, expression: Expression, x: Array) -> Array:
        return self._run(_function(expression), x)

    def reverse(self, expression: Expression, x: Array, order: int) -> Array:
        function = _function(expression)
        for _ in range(order):
            function = _pulled(function)
        return self._run(function, x)

    def forward(self, expression: Expression, x: Array, order: int) -> Array:
        function = _function(expression)
        for _ in range(order):
            function = _pushed(function)
        return self._run(function, x)

    def _run(self, function: Function, x: Array) -> Array:
        if self.compiled:
            function = tf.function(function, jit_compile=True)
        return function(tf.constant(x)).numpy()


def _function(expression: Expression) -> Function:
    """The formula as a function of a tensor ``(N,)``."""

    def function(x: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(evaluate(expression, x, Tensors(x.dtype)), tf.shape(x))

    return function


def _pulled(function: Function) -> Function:
    """The derivative of a function of each element, by reverse mode."""

    def slope(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(x)
        return tape.gradient(result, x, unconnected_gradients="zero")

    return slope


def _pushed(function: Function) -> Function:
    """The derivative of a function of each element, by forward mode."""

    def slope(x: tf.Tensor) -> tf.Tensor:
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            result = function(x)
        return accumulator.jvp(result, unconnected_gradients="zero")

    return slope


DERIVATIVES = TensorflowDerivatives()
