"""The chain rule in NumPy: value, first and second derivative carried through a formula operation
by operation.

This is what any automatic differentiation does, and so it tells what may be asked of one: where the
chain rule itself meets an infinite slope or an overflow, a framework owes no number, and a
framework may round as much as this does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nncompare.formulas.evaluation import Array, NumpyArithmetic, like
from nncompare.formulas.expression import Call, Expression, Number, Variable, evaluate
from nncompare.formulas.formula import parse

# Name -> the function, its first and its second derivative, as in any book of calculus.
_TABLE = {
    "exp": ("exp(x)", "exp(x)", "exp(x)"),
    "log": ("log(x)", "1/x", "-1/x**2"),
    "sqrt": ("sqrt(x)", "1/(2*sqrt(x))", "-1/(4*x*sqrt(x))"),
    "sin": ("sin(x)", "cos(x)", "-sin(x)"),
    "cos": ("cos(x)", "-sin(x)", "-cos(x)"),
    "tan": ("tan(x)", "1 + tan(x)**2", "2*tan(x)*(1 + tan(x)**2)"),
    "asin": ("asin(x)", "1/sqrt(1 - x**2)", "x/(1 - x**2)*(1/sqrt(1 - x**2))"),
    "acos": ("acos(x)", "-1/sqrt(1 - x**2)", "x/(1 - x**2)*(-1/sqrt(1 - x**2))"),
    "atan": ("atan(x)", "1/(1 + x**2)", "-2*x*(1/(1 + x**2))**2"),
    "sinh": ("sinh(x)", "cosh(x)", "sinh(x)"),
    "cosh": ("cosh(x)", "sinh(x)", "cosh(x)"),
    "tanh": ("tanh(x)", "1 - tanh(x)**2", "-2*tanh(x)*(1 - tanh(x)**2)"),
    "negative": ("-x", "-1", "0"),
    "erf": ("erf(x)", "2*exp(-x**2)/sqrt(pi)", "-2*x*(2*exp(-x**2)/sqrt(pi))"),
    "sigmoid": (
        "sigmoid(x)",
        "sigmoid(x)*(1 - sigmoid(x))",
        "sigmoid(x)*(1 - sigmoid(x))*(1 - 2*sigmoid(x))",
    ),
    "softplus": ("softplus(x)", "sigmoid(x)", "sigmoid(x)*(1 - sigmoid(x))"),
    "silu": (
        "x*sigmoid(x)",
        "sigmoid(x) + x*(sigmoid(x)*(1 - sigmoid(x)))",
        "sigmoid(x)*(1 - sigmoid(x))*(2 + x*(1 - 2*sigmoid(x)))",
    ),
    # x times the cumulative probability of the normal distribution, whose density stands behind
    "gelu": (
        "gelu(x)",
        "(1 + erf(x/sqrt(2)))/2 + x*(exp(-x**2/2)/(sqrt(2)*sqrt(pi)))",
        "exp(-x**2/2)/(sqrt(2)*sqrt(pi))*(2 - x**2)",
    ),
    "inverse": ("1/x", "-1/x**2", "2/x**3"),
}
_X = Variable()
_ZERO = Number(Fraction(0))
RULES: dict[str, tuple[Expression, ...]] = {
    **{name: tuple(parse(text).expression for text in row) for name, row in _TABLE.items()},
    # At the kinks the first derivatives are 0, as every framework has it. These are trees, since
    # sign and step are no functions that a formula may call.
    "relu": (Call("relu", _X), Call("step", _X), _ZERO),
    "abs": (Call("abs", _X), Call("sign", _X), _ZERO),
    "sign": (Call("sign", _X), _ZERO, _ZERO),
    "step": (Call("step", _X), _ZERO, _ZERO),
}
"""The same as trees, and the functions with kinks and steps."""


class Jet(NamedTuple):
    """A value with its first and second derivative, each ``(N,)`` or a number."""

    value: Array
    first: Array
    second: Array


class JetArithmetic:
    """Jets as an arithmetic, in one dtype."""

    def __init__(self, dtype: np.dtype[Any]):
        self.plain = NumpyArithmetic(dtype)
        self.functions: Mapping[str, Callable[[Jet], Jet]] = {
            name: partial(self._function, name) for name in RULES
        }
        self.operators: Mapping[str, Callable[[Jet, Jet], Jet]] = {
            "+": lambda u, v: Jet(*map(operator.add, u, v)),
            "-": lambda u, v: Jet(*map(operator.sub, u, v)),
            "*": _product,
            "/": lambda u, v: _product(u, self._function("inverse", v)),
            "**": self._power,
        }

    def number(self, value: Fraction) -> Jet:
        """A number, whose derivatives are 0."""
        return _without_slope(self.plain.number(value))

    def constant(self, name: str) -> Jet:
        """``pi`` or ``e``, whose derivatives are 0."""
        return _without_slope(self.plain.constant(name))

    def _function(self, name: str, u: Jet) -> Jet:
        value, slope, bend = (evaluate(tree, u.value, self.plain) for tree in RULES[name])
        return _chained(u, value, slope, bend)

    def _power(self, u: Jet, v: Jet) -> Jet:
        exponent_is_constant = not (np.any(v.first) or np.any(v.second))
        if not exponent_is_constant:
            # u**v = exp(v log u)
            return self._function("exp", _product(v, self._function("log", u)))
        # The rule of powers has values at negative u, where the logarithm has none.
        c = v.value
        slope = _scaled_power(c, u.value, c - 1)
        bend = _scaled_power(c * (c - 1), u.value, c - 2)
        return _chained(u, u.value**c, slope, bend)


def _without_slope(value: Array) -> Jet:
    return Jet(value, np.zeros_like(value), np.zeros_like(value))


def _chained(u: Jet, value: Array, slope: Array, bend: Array) -> Jet:
    """``f(u)' = f'(u) u'`` and ``f(u)'' = f''(u) u'^2 + f'(u) u''``."""
    return Jet(value, slope * u.first, bend * u.first**2 + slope * u.second)


def _scaled_power(factor: Array, u: Array, exponent: Array) -> Array:
    """``factor * u**exponent``; a vanished factor wins over an infinite power: the derivative of
    ``x**1`` is 1.
    """
    return np.where(factor == 0, np.zeros_like(u), factor * u**exponent)


def _product(u: Jet, v: Jet) -> Jet:
    """``(u v)' = u' v + u v'``, and the same once more."""
    first = u.first * v.value + u.value * v.first
    second = u.second * v.value + 2 * u.first * v.first + u.value * v.second
    return Jet(u.value * v.value, first, second)


def chain_rule(expression: Expression, x: Array, order: int) -> Array:
    """The derivative of this order (1 or 2) at ``x`` ``(N,)``, in the dtype of ``x``, by the chain
    rule alone.

    NaN or infinite where a rule on the way has no finite value, without a warning.
    """
    jet = Jet(x, np.ones_like(x), np.zeros_like(x))
    with np.errstate(all="ignore"):
        found = evaluate(expression, jet, JetArithmetic(x.dtype))[order]
    return like(x, found)
