"""The exact answer to a gradcheck's question: values, derivative, and where there is none.

SymPy and mpmath are imported when a question is solved, and not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nncompare.errors import UsageError, did_you_mean
from nncompare.formulas.accuracy import Accuracy, Tolerance, measure_errors
from nncompare.formulas.chain import chain_rule
from nncompare.formulas.evaluation import Array, compute
from nncompare.formulas.expression import Expression
from nncompare.formulas.formula import Formula, parse
from nncompare.formulas.points import parse_points
from nncompare.formulas.stencils import STENCILS
from nncompare.studies.gradcheck.record import Method, Points, Values

DTYPES = ("float64", "float32")
ORDERS = (1, 2)
# Nearer than this power of the largest float, one order of operations overflows and another does
# not.
_FAR = 0.75


@dataclass(frozen=True, kw_only=True)
class ExactAnswer:
    """A checked question with its exact answer; no framework has been started.

    Args:
        derivative: the symbolic derivative as a tree; ``text``: as SymPy writes it.
        x: ``(N,)``, in the dtype.
        exact_value, exact_derivative: ``(N,)`` in float64, NaN at points that take no part.
        owed: ``(N,)``, the points where a framework owes a right number: the formula and the chain
            rule can be computed in the dtype. Elsewhere errors are measured and not judged.
        value_tolerance: what values of the formula are judged by.
        tolerance: what derivatives are judged by.
    """

    formula: Formula
    order: int
    derivative: Expression
    text: str
    x: Array
    points: Points
    exact_value: Array
    exact_derivative: Array
    owed: Array
    value_tolerance: Tolerance
    tolerance: Tolerance

    def measure(self, method: Method, values: Array) -> Accuracy:
        """The errors of a method's values ``(N,)``."""
        if method == "value":
            return measure_errors(values, self.exact_value, self.value_tolerance, self.owed)
        return measure_errors(values, self.exact_derivative, self.tolerance, self.owed)

    def neighbours(self) -> Array:
        """All points of all stencils ``(S, N)``."""
        stencils = STENCILS[self.order].values()
        return np.concatenate([one.neighbours(self.x, one.step(self.x)) for one in stencils])

    def differences(self, values: Array) -> dict[Method, Array]:
        """The finite differences from the formula's values ``(S, N)`` at ``neighbours()``."""
        found: dict[Method, Array] = {}
        for name, stencil in STENCILS[self.order].items():
            own, values = np.split(values, [len(stencil.weights)])
            found[name] = stencil.derivative(own, stencil.step(self.x))
        return found


def solve_exactly(formula: str, *, at: str, order: int, dtype: str) -> ExactAnswer:
    """Reads the question and finds the exact answer.

    Raises:
        UsageError: the formula, the points, the order or the dtype is not allowed.
    """
    read = parse(formula)
    _check(order, dtype)
    x = _points_in(at, np.dtype(dtype))
    # Slow to import, and not needed where the question is refused.
    from nncompare.formulas.exact import exact_values
    from nncompare.formulas.symbolic import differentiate

    largest = float(np.finfo(x.dtype).max)
    value = exact_values(read.expression, x.tolist(), largest=largest)
    # A second derivative needs a first one: where that has no value, nothing is owed.
    derivatives = [differentiate(read.expression, n) for n in range(1, order + 1)]
    slopes = [exact_values(tree, x.tolist(), largest=largest) for tree, _ in derivatives]
    columns = zip(value.reasons, *(slope.reasons for slope in slopes), strict=True)
    reasons = [_first_reason(column) for column in columns]
    # a value without a derivative would be compared at other points than its derivative
    takes_part = np.array([reason is None for reason in reasons])
    exact_value = np.where(takes_part, value.values, np.nan)
    exact_derivative = np.where(takes_part, slopes[-1].values, np.nan)
    derivative, text = derivatives[-1]

    value_tolerance = Tolerance.of(exact_value, _rounding(read.expression, x), x.dtype)
    # SymPy may have simplified away what a framework computes, and rounds, as it stands.
    rounding = _rounding(derivative, x) + _rounding(read.expression, x, order)
    tolerance = Tolerance.of(exact_derivative, rounding, x.dtype, otherwise=value_tolerance.scale)
    computable = np.isfinite(compute(read.expression, x))
    computable &= np.isfinite(chain_rule(read.expression, x, order))
    return ExactAnswer(
        formula=read,
        order=order,
        derivative=derivative,
        text=text,
        x=x,
        points=_points_record(x, value.values, exact_derivative, reasons),
        exact_value=exact_value,
        exact_derivative=exact_derivative,
        owed=computable & (np.abs(exact_derivative) < largest**_FAR),
        value_tolerance=value_tolerance,
        tolerance=tolerance,
    )


def _check(order: int, dtype: str) -> None:
    if order not in ORDERS:
        raise UsageError(f"the order is {order}. Allowed: 1 or 2")
    if dtype not in DTYPES:
        hint = did_you_mean(dtype, DTYPES)
        raise UsageError(f"the dtype is {dtype!r}{hint} Allowed: {', '.join(DTYPES)}")


def _points_in(at: str, dtype: np.dtype[Any]) -> Array:
    """The points that were asked for, in the dtype.

    Raises:
        ConfigError: the text cannot be read.
        UsageError: a point is beyond the dtype's range.
    """
    asked = np.array(parse_points(at))
    largest = np.abs(asked).max()
    # Rounded to float32 it would be an infinity.
    if largest > np.finfo(dtype).max:
        raise UsageError(f"--at {at}: {largest:g} is beyond the range of {dtype}")
    return asked.astype(dtype)


def _first_reason(reasons: Sequence[str | None]) -> str | None:
    """Why a point takes no part: the formula's reason, else that of a derivative."""
    value, *slopes = reasons
    if value is not None:
        return value
    for reason in slopes:
        if reason is not None:
            # The formula has a value here, so its derivative is what is missing.
            return "no derivative" if reason in ("outside", "kink") else reason
    return None


def _points_record(
    x: Array, value: Array, derivative: Array, reasons: Sequence[str | None]
) -> Points:
    def where(*wanted: str) -> tuple[int, ...]:
        return tuple(index for index, reason in enumerate(reasons) if reason in wanted)

    return Points(
        dtype=x.dtype.name,
        x=tuple(x.tolist()),
        value=finite_or_none(value),
        derivative=finite_or_none(derivative),
        outside=where("outside", "kink"),
        no_derivative=where("no derivative"),
        too_large=where("too large"),
        unknown=where("unknown"),
    )


def finite_or_none(found: Array) -> Values:
    """Numbers for a document, which knows no NaN."""
    return tuple(float(value) if np.isfinite(value) else None for value in found)


def _rounding(expression: Expression, x: Array, order: int = 0) -> Array:
    """Size of the rounding error at each point ``(N,)`` of a formula, or of its derivative by the
    chain rule: against a wider dtype, 0 where the machine has none.
    """
    wider: np.dtype[Any] = np.dtype(np.float64 if x.dtype == np.float32 else np.longdouble)
    # On some machines a long double is a double.
    if np.finfo(wider).eps >= np.finfo(x.dtype).eps:
        return np.zeros(len(x))

    def computed(at: Array) -> Array:
        return chain_rule(expression, at, order) if order else compute(expression, at)

    with np.errstate(all="ignore"):
        difference = computed(x).astype(wider) - computed(x.astype(wider))
        return np.asarray(np.abs(difference), np.float64)
