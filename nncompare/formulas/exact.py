"""The value of a formula at a point, right to the last bit of float64, or the reason why there is
none.

Computed by mpmath with 40 digits and again with more, until two precisions agree.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import mpmath
import numpy as np
from numpy.typing import NDArray

from nncompare.formulas.expression import OPERATORS, Expression, evaluate

DIGITS = (40, 80, 160, 320, 640)
AGREEMENT = 25
"""Decimal digits in which two precisions must agree."""
# Values beyond 10**±_HUGE count as too large and as 0: float64 ends at 10**308.
_HUGE = 10**5
_LARGEST_EXPONENT = 2 * _HUGE
# An argument of a sine beyond the floats would need as many digits of pi as it has itself.
_LARGEST_ANGLE = 10**400

Reason = Literal["outside", "kink", "too large", "unknown"]
# Functions that have no value everywhere: where they have one, and why elsewhere not.
_DOMAINS: tuple[tuple[tuple[str, ...], Callable[[Any], bool], Reason], ...] = (
    (("log",), lambda u: u > 0, "outside"),
    (("sqrt",), lambda u: u >= 0, "outside"),
    (("asin", "acos"), lambda u: abs(u) <= 1, "outside"),
    (("sin", "cos", "tan"), lambda u: abs(u) <= _LARGEST_ANGLE, "too large"),
    (("sinh", "cosh"), lambda u: abs(u) <= _LARGEST_EXPONENT, "too large"),
    # the slope of abs
    (("sign",), lambda u: u != 0, "kink"),
)


class NoValue(Exception):
    """There is no value, and why."""

    def __init__(self, reason: Reason):
        self.reason: Reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class ExactValues:
    """Values in float64, NaN where there is none, with the reason (None where there is a value)."""

    values: NDArray[np.float64]
    reasons: tuple[Reason | None, ...]


def exact_values(
    expression: Expression,
    points: Sequence[float],
    *,
    largest: float = float(np.finfo(np.float64).max),
) -> ExactValues:
    """The values at these points, each rounded once.

    Args:
        expression: a tree.
        points: floats, taken as they are.
        largest: values beyond have the reason ``too large``.
    """
    arithmetics = [_RealArithmetic(digits) for digits in DIGITS]
    values = np.full(len(points), np.nan)
    reasons: list[Reason | None] = []
    for index, point in enumerate(points):
        try:
            value = _value_at(expression, float(point), arithmetics)
            # Also not, if the value is infinite in float64.
            if not abs(value) <= largest:
                raise NoValue("too large")
            values[index] = value
            reasons.append(None)
        except NoValue as none:
            reasons.append(none.reason)
    return ExactValues(values, tuple(reasons))


def _value_at(
    expression: Expression, point: float, arithmetics: Sequence[_RealArithmetic]
) -> float:
    """The value at one point.

    Args:
        arithmetics: of growing precision.

    Raises:
        NoValue: there is none, or no two precisions agree.
    """
    before = None
    # Few digits are enough for most formulas, and more of them cost more.
    for arithmetic in arithmetics:
        real = arithmetic.context.mpf
        value = evaluate(expression, real(point), arithmetic)
        if before is not None and abs(value - before) <= abs(value) * real(10) ** -AGREEMENT:
            return float(value)
        before = value
    # All digits cancel: the value is zero as far as anyone can tell.
    if before is not None and abs(before) < mpmath.mpf(10) ** (-DIGITS[-1] // 2):
        return 0.0
    raise NoValue("unknown")


class _RealArithmetic:
    """Real numbers of so many digits as an arithmetic. What is not real has no value."""

    def __init__(self, digits: int):
        # mpmath's own context is one for the whole process, with one precision.
        context = mpmath.MPContext()
        context.dps = digits
        self.context = context
        self.huge = context.mpf(10) ** _HUGE
        self.tiny = context.mpf(10) ** -_HUGE
        self.functions: dict[str, Callable[[Any], Any]] = {
            "exp": self.exp,
            "tanh": context.tanh,
            "atan": context.atan,
            "erf": context.erf,
            "relu": lambda u: max(u, context.zero),
            "abs": abs,
            "negative": operator.neg,
            # the slope of relu: 0, or 1
            "step": lambda u: (self.functions["sign"](u) + 1) / 2,
        }
        for names, has_value, otherwise in _DOMAINS:
            for name in names:
                function = getattr(context, name)
                self.functions[name] = self._where(has_value, otherwise, function)
        self.operators: Mapping[str, Callable[[Any, Any], Any]] = {
            **OPERATORS,
            "*": lambda u, v: self.limited(u * v),
            "/": self._quotient,
            "**": self._power,
        }

    def number(self, value: Fraction) -> Any:
        """A number."""
        return self.context.mpf(value.numerator) / value.denominator

    def constant(self, name: str) -> Any:
        """``pi`` or ``e``; the plus rounds mpmath's constant to the digits at hand."""
        return +getattr(self.context, name)

    def limited(self, value: Any) -> Any:
        """The value, if it is within all bounds; 0 for what is too small."""
        if not abs(value) < self.huge:
            raise NoValue("too large")
        return value if abs(value) > self.tiny else self.context.zero

    def exp(self, u: Any) -> Any:
        """The exponential; exponents are looked at first, since mpmath would compute any."""
        if u > _LARGEST_EXPONENT:
            raise NoValue("too large")
        if u <= -_LARGEST_EXPONENT:
            return self.context.zero
        return self.limited(self.context.exp(u))

    def _where(
        self, has_value: Callable[[Any], bool], otherwise: Reason, function: Callable[[Any], Any]
    ) -> Callable[[Any], Any]:
        """The function on its domain; elsewhere there is no value for this reason."""

        def guarded(u: Any) -> Any:
            if not has_value(u):
                raise NoValue(otherwise)
            return self.limited(function(u))

        return guarded

    def _quotient(self, u: Any, v: Any) -> Any:
        # IEEE 754 has an infinity here, the real numbers have nothing.
        if v == 0:
            raise NoValue("outside")
        return self.limited(u / v)

    def _power(self, u: Any, v: Any) -> Any:
        is_whole = v == self.context.floor(v)
        if (u < 0 and not is_whole) or (u == 0 and v < 0):
            raise NoValue("outside")
        # 0**0 is 1, as in IEEE 754 and in every framework.
        if v == 0:
            return self.context.one
        if u == 0:
            return self.context.zero
        # The size of the result is known before it is computed.
        exponent = v * self.context.log(abs(u))
        if exponent > _LARGEST_EXPONENT:
            raise NoValue("too large")
        if exponent < -_LARGEST_EXPONENT:
            return self.context.zero
        return self.limited(self.context.power(u, v))
