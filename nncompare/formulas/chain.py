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
Derivatives = tuple[Array, Array, Array]
"""Value, first and second derivative of a function of one argument, each ``(N,)``."""
Rule = Callable[[Array], Derivatives]


class Jet(NamedTuple):
    """A value with its first and second derivative, each ``(N,)`` or a number."""

    value: Array
    first: Array
    second: Array


def _exp(u: Array) -> Derivatives:
    value = np.exp(u)
    return value, value, value


def _log(u: Array) -> Derivatives:
    return np.log(u), 1 / u, -1 / u**2


def _sqrt(u: Array) -> Derivatives:
    root = np.sqrt(u)
    return root, 1 / (2 * root), -1 / (4 * u * root)


def _sin(u: Array) -> Derivatives:
    value = np.sin(u)
    return value, np.cos(u), -value


def _cos(u: Array) -> Derivatives:
    value = np.cos(u)
    return value, -np.sin(u), -value


def _tan(u: Array) -> Derivatives:
    value = np.tan(u)
    slope = 1 + value**2
    return value, slope, 2 * value * slope


def _asin(u: Array) -> Derivatives:
    slope = 1 / np.sqrt(1 - u**2)
    return np.arcsin(u), slope, u / (1 - u**2) * slope


def _acos(u: Array) -> Derivatives:
    slope = -1 / np.sqrt(1 - u**2)
    return np.arccos(u), slope, u / (1 - u**2) * slope


def _atan(u: Array) -> Derivatives:
    slope = 1 / (1 + u**2)
    return np.arctan(u), slope, -2 * u * slope**2


def _sinh(u: Array) -> Derivatives:
    value = np.sinh(u)
    return value, np.cosh(u), value


def _cosh(u: Array) -> Derivatives:
    value = np.cosh(u)
    return value, np.sinh(u), value


def _tanh(u: Array) -> Derivatives:
    value = np.tanh(u)
    slope = 1 - value**2
    return value, slope, -2 * value * slope


def _negative(u: Array) -> Derivatives:
    return -u, -np.ones_like(u), np.zeros_like(u)


ELEMENTARY: dict[str, Rule] = {
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "sin": _sin,
    "cos": _cos,
    "tan": _tan,
    "asin": _asin,
    "acos": _acos,
    "atan": _atan,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "negative": _negative,
}
"""The functions of calculus by name, each with its derivatives."""


class JetArithmetic:
    """Jets as an arithmetic, in one dtype."""

    def __init__(self, dtype: np.dtype[Any]):
        self.plain = NumpyArithmetic(dtype)
        rules = {**ELEMENTARY, **self._activations()}
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

    def _activations(self) -> dict[str, Rule]:
        """Value, first and second derivative of ``erf`` and of the functions of networks. At their
        kinks the first derivatives of ``relu`` and ``abs`` are 0, as every framework has it.
        """
        plain = self.plain.functions
        root_pi = np.sqrt(self.plain.constant("pi"))
        root_two = np.sqrt(self.plain.number(Fraction(2)))

        def erf(u: Array) -> Derivatives:
            slope = 2 * np.exp(-(u**2)) / root_pi
            return plain["erf"](u), slope, -2 * u * slope

        def sigmoid(u: Array) -> Derivatives:
            s = plain["sigmoid"](u)
            slope = s * (1 - s)
            return s, slope, slope * (1 - 2 * s)

        def softplus(u: Array) -> Derivatives:
            s, slope, _ = sigmoid(u)
            return plain["softplus"](u), s, slope

        def silu(u: Array) -> Derivatives:
            s, slope, _ = sigmoid(u)
            return u * s, s + u * slope, slope * (2 + u * (1 - 2 * s))

        def gelu(u: Array) -> Derivatives:
            # The normal distribution: gelu is u times its cumulative probability.
            density = np.exp(-(u**2) / 2) / (root_two * root_pi)
            probability = (1 + plain["erf"](u / root_two)) / 2
            return plain["gelu"](u), probability + u * density, density * (2 - u**2)

        def relu(u: Array) -> Derivatives:
            return plain["relu"](u), plain["step"](u), np.zeros_like(u)

        def absolute(u: Array) -> Derivatives:
            return np.abs(u), np.sign(u), np.zeros_like(u)

        def sign(u: Array) -> Derivatives:
            return np.sign(u), np.zeros_like(u), np.zeros_like(u)

        def step(u: Array) -> Derivatives:
            return plain["step"](u), np.zeros_like(u), np.zeros_like(u)

        return {
            "erf": erf,
            "sigmoid": sigmoid,
            "softplus": softplus,
            "silu": silu,
            "gelu": gelu,
            "relu": relu,
            "abs": absolute,
            "sign": sign,
            "step": step,
        }

    def _power(self, u: Jet, v: Jet) -> Jet:
        exponent_is_constant = not (np.any(v.first) or np.any(v.second))
        if not exponent_is_constant:
            # u**v = exp(v log u)
            return self.functions["exp"](_product(v, self.functions["log"](u)))
        # The rule of powers has values at negative u, where the logarithm has none.
        c = v.value

        def power_of(w: Array) -> Derivatives:
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
