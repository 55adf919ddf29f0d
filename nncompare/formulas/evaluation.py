"""A formula in NumPy arrays of one dtype: what a framework's own operations are held against."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.formulas.expression import Expression, evaluate

Array = NDArray[Any]

_DIGITS = {
    "pi": "3.14159265358979323846264338327950288",
    "e": "2.71828182845904523536028747135266250",
}
"""Enough for every dtype that NumPy has."""
_ERF = np.vectorize(math.erf, otypes=[np.float64])


class NumpyArithmetic:
    """NumPy arrays as an arithmetic; numbers and constants are made in the dtype."""

    operators: Mapping[str, Callable[[Array, Array], Array]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "**": operator.pow,
    }

    def __init__(self, dtype: np.dtype[Any]):
        self.dtype = dtype
        two = self.number(Fraction(2))
        self.functions: Mapping[str, Callable[[Array], Array]] = {
            "exp": np.exp,
            "log": np.log,
            "sqrt": np.sqrt,
            "sin": np.sin,
            "cos": np.cos,
            "tan": np.tan,
            "asin": np.arcsin,
            "acos": np.arccos,
            "atan": np.arctan,
            "sinh": np.sinh,
            "cosh": np.cosh,
            "tanh": np.tanh,
            "abs": np.abs,
            "negative": np.negative,
            "sign": np.sign,
            "erf": self._erf,
            "sigmoid": lambda u: 1 / (1 + np.exp(-u)),
            "softplus": lambda u: np.logaddexp(u, np.zeros_like(u)),
            "silu": lambda u: u / (1 + np.exp(-u)),
            "gelu": lambda u: u * (1 + self._erf(u / np.sqrt(two))) / 2,
            "relu": lambda u: np.maximum(u, np.zeros_like(u)),
            "step": lambda u: np.heaviside(u, np.zeros_like(u)),
        }

    def number(self, value: Fraction) -> Array:
        """A number, rounded once."""
        if self.dtype.itemsize <= np.dtype(np.float64).itemsize:
            return np.asarray(float(value), self.dtype)
        # A wider dtype holds more than a Python float, which would round first.
        return np.asarray(self.dtype.type(value.numerator) / self.dtype.type(value.denominator))

    def constant(self, name: str) -> Array:
        """``pi`` or ``e``."""
        return np.asarray(self.dtype.type(_DIGITS[name]))

    def _erf(self, u: Array) -> Array:
        """NumPy has none; the C library's is right to the last bits of float64."""
        return np.asarray(_ERF(u.astype(np.float64)), self.dtype)


def compute(expression: Expression, x: Array) -> Array:
    """The expression at ``x`` ``(…)``, in the dtype of ``x`` from the first operation to the last.

    Where the formula has no real value the result is NaN or infinite, without a warning.
    """
    with np.errstate(all="ignore"):
        values = evaluate(expression, x, NumpyArithmetic(x.dtype))
    return np.array(np.broadcast_to(values, x.shape), x.dtype)
