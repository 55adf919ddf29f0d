"""The chain rule in NumPy: value, first and second derivative carried through a formula operation
by operation.

This is what any automatic differentiation does, and so it tells what may be asked of one: where the
chain rule itself meets an infinite slope or an overflow, a framework owes no number, and a
framework may round as much as this does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nncompare.formulas.evaluation import NumpyArithmetic
from nncompare.formulas.expression import Expression, evaluate

Array = NDArray[Any]
Rule = Callable[[Array], tuple[Array, Array, Array]]


class Jet(NamedTuple):
    """A value with its first and second derivative, each ``(N,)`` or a number."""

    value: Array
    first: Array
    second: Array


class JetArithmetic:
    """Jets as an arithmetic, in one dtype."""

    def __init__(self, dtype: np.dtype[Any]):
        self.plain = NumpyArithmetic(dtype)
        rules = {**self._elementary(), **self._activations()}
        self.functions: Mapping[str, Callable[[Jet], Jet]] = {
            name: _chained(rule) for name, rule in rules.items()
        }
        self.operators: Mapping[str, Callable[[Jet, Jet], Jet]] = {
            "+": lambda u, v: Jet(u.value + v.value, u.first + v.first, u.second + v.second),
            "-": lambda u, v: Jet(u.value - v.value, u.first - v.first, u.second - v.second),
            "*": _product,
            "/": _quotient,
            "**": self._power,
        }

    def number(self, value: Fraction) -> Jet:
        """A number, whose derivatives are 0."""
        return _without_slope(self.plain.number(value))

    def constant(self, name: str) -> Jet:
        """``pi`` or ``e``, whose derivatives are 0."""
        return _without_slope(self.plain.constant(name))

    def _elementary(self) -> dict[str, Rule]:
        """Value, first and second derivative of the functions of calculus."""
        return {
            "exp": lambda u: (np.exp(u),) * 3,
            "log": lambda u: (np.log(u), 1 / u, -1 / u**2),
            "sqrt": lambda u: (np.sqrt(u), 1 / (2 * np.sqrt(u)), -1 / (4 * u * np.sqrt(u))),
            "sin": lambda u: (np.sin(u), np.cos(u), -np.sin(u)),
            "cos": lambda u: (np.cos(u), -np.sin(u), -np.cos(u)),
            "tan": lambda u: (np.tan(u), 1 + np.tan(u) ** 2, 2 * np.tan(u) * (1 + np.tan(u) ** 2)),
            "asin": lambda u: (
                np.arcsin(u),
                1 / np.sqrt(1 - u**2),
                u / (1 - u**2) / np.sqrt(1 - u**2),
            ),
            "acos": lambda u: (
                np.arccos(u),
                -1 / np.sqrt(1 - u**2),
                -u / (1 - u**2) / np.sqrt(1 - u**2),
            ),
            "atan": lambda u: (np.arctan(u), 1 / (1 + u**2), -2 * u / (1 + u**2) ** 2),
            "sinh": lambda u: (np.sinh(u), np.cosh(u), np.sinh(u)),
            "cosh": lambda u: (np.cosh(u), np.sinh(u), np.cosh(u)),
            "tanh": lambda u: (
                np.tanh(u),
                1 - np.tanh(u) ** 2,
                -2 * np.tanh(u) * (1 - np.tanh(u) ** 2),
            ),
            "negative": lambda u: (-u, -np.ones_like(u), np.zeros_like(u)),
        }

    def _activations(self) -> dict[str, Rule]:
        """Value, first and second derivative of the functions of networks. At a kink the first
        derivative is the mean of both sides, as ``step`` and ``sign`` have it.
        """
        plain = self.plain.functions
        root_pi = np.sqrt(self.plain.constant("pi"))

        def sigmoid(u: Array) -> tuple[Array, Array, Array]:
            s = plain["sigmoid"](u)
            return s, s * (1 - s), s * (1 - s) * (1 - 2 * s)

        def silu(u: Array) -> tuple[Array, Array, Array]:
            s, slope, _ = sigmoid(u)
            return u * s, s + u * slope, slope * (2 + u * (1 - 2 * s))

        def gelu(u: Array) -> tuple[Array, Array, Array]:
            two = np.sqrt(self.plain.number(Fraction(2)))
            density = np.exp(-(u**2) / 2) / (two * root_pi)
            slope = (1 + plain["erf"](u / two)) / 2 + u * density
            return plain["gelu"](u), slope, density * (2 - u**2)

        return {
            "erf": lambda u: (
                plain["erf"](u),
                2 * np.exp(-(u**2)) / root_pi,
                -4 * u * np.exp(-(u**2)) / root_pi,
            ),
            "sigmoid": sigmoid,
            "softplus": lambda u: (plain["softplus"](u), *sigmoid(u)[:2]),
            "silu": silu,
            "gelu": gelu,
            "relu": lambda u: (plain["relu"](u), plain["step"](u), np.zeros_like(u)),
            "abs": lambda u: (np.abs(u), np.sign(u), np.zeros_like(u)),
            "sign": lambda u: (np.sign(u), np.zeros_like(u), np.zeros_like(u)),
            "step": lambda u: (plain["step"](u), np.zeros_like(u), np.zeros_like(u)),
        }

    def _power(self, u: Jet, v: Jet) -> Jet:
        exponent_is_constant = not (np.any(v.first) or np.any(v.second))
        if not exponent_is_constant:
            # u**v = exp(v log u)
            return self.functions["exp"](_product(v, self.functions["log"](u)))
        # The rule of powers has values at negative u, where the logarithm has none.
        c = v.value

        def power_of(w: Array) -> tuple[Array, Array, Array]:
            return w**c, _scaled_power(c, w, c - 1), _scaled_power(c * (c - 1), w, c - 2)

        return _chained(power_of)(u)


def _without_slope(value: Array) -> Jet:
    return Jet(value, np.zeros_like(value), np.zeros_like(value))


def _chained(rule: Rule) -> Callable[[Jet], Jet]:
    """``f(u)' = f'(u) u'`` and ``f(u)'' = f''(u) u'^2 + f'(u) u''``."""

    def apply(u: Jet) -> Jet:
        value, slope, bend = rule(u.value)
        return Jet(value, slope * u.first, bend * u.first**2 + slope * u.second)

    return apply


def _scaled_power(factor: Array, u: Array, exponent: Array) -> Array:
    """``factor * u**exponent``; a vanished factor wins over an infinite power: the derivative of
    ``x**1`` is 1.
    """
    return np.where(factor == 0, np.zeros_like(u), factor * u**exponent)


def _product(u: Jet, v: Jet) -> Jet:
    """``(u v)' = u' v + u v'``, and the same once more."""
    second = u.second * v.value + 2 * u.first * v.first + u.value * v.second
    return Jet(u.value * v.value, u.first * v.value + u.value * v.first, second)


def _quotient(u: Jet, v: Jet) -> Jet:
    inverse = _chained(lambda w: (1 / w, -1 / w**2, 2 / w**3))
    return _product(u, inverse(v))


def chain_rule(expression: Expression, x: Array, order: int) -> Array:
    """The derivative of this order (1 or 2) at ``x`` ``(N,)``, in the dtype of ``x``, by the chain
    rule alone.

    NaN or infinite where a rule on the way has no finite value, without a warning.
    """
    jet = Jet(x, np.ones_like(x), np.zeros_like(x))
    with np.errstate(all="ignore"):
        found = evaluate(expression, jet, JetArithmetic(x.dtype))[order]
    return np.array(np.broadcast_to(found, x.shape), x.dtype)
