"""A formula in NumPy arrays of one dtype: what a framework's own operations are held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.formulas.expression import OPERATORS, Expression, evaluate

Array = NDArray[Any]

# Enough for every dtype that NumPy has.
_DIGITS = {
    "pi": "3.14159265358979323846264338327950288",
    "e": "2.71828182845904523536028747135266250",
}
_SAME_NAME = (
    *("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("abs", "negative", "sign"),
)
_ERF = np.vectorize(math.erf, otypes=[np.float64])


class NumpyArithmetic:
    """NumPy arrays as an arithmetic; numbers and constants are made in the dtype."""

    operators = OPERATORS

    def __init__(self, dtype: np.dtype[Any]):
        self.dtype = dtype
        self.functions: Mapping[str, Callable[[Array], Array]] = {
            **{name: getattr(np, name) for name in _SAME_NAME},
            "asin": np.arcsin,
            "acos": np.arccos,
            "atan": np.arctan,
            "erf": self._erf,
            # without the overflow of log(1 + exp(u))
            "softplus": lambda u: np.logaddexp(u, np.zeros_like(u)),
            "relu": lambda u: np.maximum(u, np.zeros_like(u)),
            "step": lambda u: np.heaviside(u, np.zeros_like(u)),
        }

    def number(self, value: Fraction) -> Array:
        """A number, rounded once."""
        # A Python float holds every number of these dtypes.
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
    return like(x, values)


def like(x: Array, values: Array) -> Array:
    """The values in the shape and dtype of ``x``: a constant formula has one value for all."""
    return np.array(np.broadcast_to(values, x.shape), x.dtype)
