"""The document of ``nncompare gradcheck --json``.

History of the format, newest first:

1. first version.

Unknown figures are ``null``, never NaN: a point where a formula or a method has no finite value is
``null`` in every list of values, and its index stands in the list that says why.
"""

from __future__ import annotations

from typing import Any, Literal

from nncompare.records.record import RecordPart, StudyRecord
from nncompare.records.runtime_row import RuntimeRow

Method = Literal["value", "reverse", "forward", "symbolic", "central", "five_point"]
METHODS: tuple[Method, ...] = ("value", "reverse", "forward", "symbolic", "central", "five_point")
JUDGED: tuple[Method, ...] = ("value", "reverse", "forward", "symbolic")
"""Finite differences are approximations; they are measured and not judged."""

Values = tuple[float | None, ...]


class FormulaText(RecordPart):
    text: str
    derivative: str
    """As SymPy writes it."""
    order: int


class Points(RecordPart):
    """Where, and what is true there: computed with 40 digits or more and rounded once to float64.

    ``outside``, ``no_derivative``, ``too_large`` and ``unknown`` are indices of points that take no
    part.
    """

    dtype: str
    x: tuple[float, ...]
    """Rounded to the dtype."""
    value: Values
    derivative: Values
    outside: tuple[int, ...] = ()
    """The formula has no real value."""
    no_derivative: tuple[int, ...] = ()
    """The formula has a value; its symbolic derivative has none (a kink, a vertical tangent, 0/0).
    """
    too_large: tuple[int, ...] = ()
    """Beyond the dtype's range."""
    unknown: tuple[int, ...] = ()
    """So many digits cancel that 640 were too few."""

    @property
    def count(self) -> int:
        return len(self.x)

    @property
    def compared(self) -> int:
        """Points that take part."""
        return sum(value is not None for value in self.derivative)


class MethodResult(RecordPart):
    """One method in one runtime. Errors are absolute, over the points that take part."""

    method: Method
    status: Literal["ok", "n/a", "failed"] = "ok"
    reason: str | None = None
    how: str | None = None
    """The framework's own call."""
    largest_error: float | None = None
    largest_error_at: float | None = None
    """The point of the largest error."""
    largest_relative_error: float | None = None
    """Of points where the exact value is not 0, over its size."""
    not_finite: int = 0
    """Points that take part and where the method gave no finite number."""
    finite_outside: int = 0
    """Points outside the formula's domain where the method gave a finite number all the same."""
    beyond: int = 0
    """Points whose error is beyond the tolerance."""
    passed: bool | None = None
    """No point beyond the tolerance, and none without a finite number that should have one; null:
    not judged.
    """
    values: Values = ()


class RuntimeDerivatives(RuntimeRow):
    """One row: a runtime, or ``numpy`` as the reference."""

    notes: tuple[str, ...] = ()
    """What is known of this framework's operations in this formula."""
    methods: tuple[MethodResult, ...] = ()

    def method(self, name: Method) -> MethodResult:
        """One method's row; an empty one if it was not asked."""
        for found in self.methods:
            if found.method == name:
                return found
        return MethodResult(method=name, status="n/a")


class ToleranceFigures(RecordPart):
    """What ``formulas.accuracy.Tolerance`` was: an error passes if it is at most ``tolerance *
    max(|exact|, scale) + rounding``.
    """

    tolerance: float
    """Square root of the dtype's epsilon: half of its digits."""
    scale: float
    """Usual size of the exact values that are not 0: the median, or a thousandth of the 90th
    percentile if that is more (of the formula's, if its derivative is 0 everywhere).
    """
    rounding: float
    """Ten times NumPy's own rounding error near a point, at the point where it is largest: of the
    symbolic derivative and of the chain rule. Measured against a wider dtype; 0 where there is
    none.
    """


class StepSweep(RecordPart):
    """Largest error of a finite difference for steps of one size at all points, in NumPy."""

    method: Method
    steps: tuple[float, ...]
    largest_errors: Values


class GradcheckRecord(StudyRecord):
    """The whole document."""

    kind: Literal["gradcheck"] = "gradcheck"
    name: str
    """The formula."""
    environment: dict[str, Any]
    formula: FormulaText
    points: Points
    gates: dict[Literal["value", "derivative"], ToleranceFigures]
    steps: dict[str, float]
    """Method -> the step of its finite difference at ``|x| <= 1``; it grows with ``|x|``."""
    runtimes: tuple[RuntimeDerivatives, ...]
    reference: RuntimeDerivatives
    """The same in NumPy, by the parent."""
    sweep: tuple[StepSweep, ...] = ()
    plot: str | None = None
    """The picture's file; null: none was drawn."""

    @property
    def complete(self) -> bool:
        """Every runtime finished, and no method of any failed."""
        for row in self.runtimes:
            # a row that ended well may hold a method that did not
            if row.status != "ok" or any(method.status == "failed" for method in row.methods):
                return False
        return True

    @property
    def passed(self) -> bool:
        """No judged method is beyond its tolerance."""
        return not self.beyond

    @property
    def beyond(self) -> tuple[tuple[str, MethodResult], ...]:
        """Runtime and method of all that is beyond its tolerance."""
        found = []
        # NumPy is judged, too: it computes the symbolic derivative as a framework does
        for row in (*self.runtimes, self.reference):
            for method in row.methods:
                # None is not judged.
                if method.passed is False:
                    found.append((row.runtime, method))
        return tuple(found)
