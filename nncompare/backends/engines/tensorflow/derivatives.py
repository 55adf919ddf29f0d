"""Derivatives of a formula by TensorFlow's automatic differentiation, whichever package names the
operations: those of Keras are TensorFlow's, so that its tapes see through them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.derivatives import Array, Mode
from nncompare.backends.engines.tensorflow.runtime import set_threads
from nncompare.formulas.expression import Arithmetic, Expression, evaluate

Function = Callable[[Tensor], Tensor]


@dataclass
class EngineDerivatives:
    """See ``backends.derivatives.Derivatives``.

    Args:
        tensors: makes the arithmetic of a dtype.
        how: what the report calls each way.
        notes: what the report says of a function.
        compiled: by XLA; ``configure`` says so.
    """

    tensors: Callable[[tf.DType], Arithmetic[Tensor]]
    how: Mapping[str, str]
    notes: Mapping[str, str]
    compiled: bool = False

    def configure(self, mode: str, threads: int) -> None:
        """Threads, and whether XLA compiles."""
        self.compiled = mode == "xla"
        set_threads(threads)

    def why_not(self, mode: Mode, order: int) -> str | None:
        """Every method has every order here."""
        return None

    def value(self, expression: Expression, x: Array) -> Array:
        """The expression at ``x``."""
        return self._run(self._function(expression), x)

    def reverse(self, expression: Expression, x: Array, order: int) -> Array:
        """The derivative of this order by reverse mode."""
        function = self._function(expression)
        for _ in range(order):
            function = _pulled(function)
        return self._run(function, x)

    def forward(self, expression: Expression, x: Array, order: int) -> Array:
        """The derivative of this order by forward mode."""
        function = self._function(expression)
        for _ in range(order):
            function = _pushed(function)
        return self._run(function, x)

    def _function(self, expression: Expression) -> Function:
        """The formula as a function of a tensor ``(N,)``."""

        def function(x: Tensor) -> Tensor:
            value = evaluate(expression, x, self.tensors(x.dtype))
            # a constant formula has no axis
            return tf.broadcast_to(value, tf.shape(x))

        return function

    def _run(self, function: Function, x: Array) -> Array:
        if self.compiled:
            function = tf.function(function, jit_compile=True)
        found: Array = function(tf.constant(x)).numpy()
        return found


def _pulled(function: Function) -> Function:
    """The derivative of a function of each element, by reverse mode."""

    def slope(x: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(x)
        return tape.gradient(result, x, unconnected_gradients="zero")

    return slope


def _pushed(function: Function) -> Function:
    """The derivative of a function of each element, by forward mode."""

    def slope(x: Tensor) -> Tensor:
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            result = function(x)
        return accumulator.jvp(result, unconnected_gradients="zero")

    return slope
