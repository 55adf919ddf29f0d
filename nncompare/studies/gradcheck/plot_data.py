"""What the picture of a gradcheck shows, as rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nncompare.studies.gradcheck.record import METHODS, GradcheckRecord, Method, RuntimeDerivatives
from nncompare.studies.gradcheck.report import NAMES

Row = dict[str, Any]
"""What a chart draws of one point."""
# Values beyond this many times the 90th percentile leave the first panel, so that a pole does not
# flatten the rest.
_CLIP = 4.0


def limit(values: Sequence[float]) -> float | None:
    """Where the axis ends if a few values are far beyond all others; else None."""
    sizes = sorted(map(abs, values))
    if not sizes:
        return None
    usual = sizes[int(0.9 * len(sizes))]
    # A little beyond the limit is worth the room that it takes.
    if usual > 0 and sizes[-1] > 2 * _CLIP * usual:
        return _CLIP * usual
    return None


def line(
    name: str, x: Sequence[float], values: Sequence[float | None], limit: float | None
) -> list[Row]:
    """Points of one curve, in parts: a new one begins after a gap and on the other side of
    a pole.
    """
    rows: list[Row] = []
    part = 0
    before = 0.0
    for at, value in zip(x, values, strict=True):
        # no line across what has no value
        if value is None:
            part += 1
            continue
        # Large on both sides and of the other sign: a pole lies between.
        is_large = limit is not None and min(abs(before), abs(value)) > limit / _CLIP
        if is_large and before * value < 0:
            part += 1
        rows.append({"curve": name, "part": f"{name} {part}", "x": at, "y": value})
        before = value
    return rows


def _pairs(
    result: GradcheckRecord, row: RuntimeDerivatives, name: Method
) -> list[tuple[float, float]]:
    """``(x, error)`` of one method where both are known, by x."""
    values = row.method(name).values
    # A method that failed has none.
    if not values:
        return []
    pairs = []
    points = zip(result.points.x, values, result.points.derivative, strict=True)
    for x, computed, exact in points:
        # null: no finite number, or a point that takes no part
        if computed is not None and exact is not None:
            pairs.append((x, abs(computed - exact)))
    return sorted(pairs)


def edges(
    result: GradcheckRecord, rows: Sequence[RuntimeDerivatives]
) -> tuple[float, float] | None:
    """The bottom edge, below the smallest error, and the top edge, a little above the largest;
    None: there is nothing to draw.
    """
    sizes: list[float] = []
    for row in rows:
        # f itself has its values drawn, not its errors
        for name in METHODS[1:]:
            sizes += [error for _, error in _pairs(result, row, name)]
    if not sizes:
        return None
    positive = sorted(size for size in sizes if size > 0) or [1e-16]
    # A few are tiny by luck, and would make the axis long.
    usual = positive[len(positive) // 50]
    bottom = math.floor(math.log10(max(usual, 1e-300))) - 1
    top = math.ceil(math.log10(max(*sizes, 1e-15)) + 0.2)
    return 10.0**bottom, 10.0**top


def error_rows(
    result: GradcheckRecord,
    row: RuntimeDerivatives,
    methods: Sequence[Method],
    bottom: float,
    most: int,
) -> list[Row]:
    """The errors of some methods in one runtime, as rows of a chart.

    Args:
        bottom: errors below are drawn there.
        most: points of each method.
    """
    found: list[Row] = []
    for name in methods:
        for x, error in _thinned(_pairs(result, row, name), most):
            found.append({"method": NAMES[name], "x": x, "error": max(error, bottom)})
    return found


def _thinned(pairs: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most so many pairs: of each stretch the one with the largest error."""
    length = -(-len(pairs) // most) or 1
    found = []
    for begin in range(0, len(pairs), length):
        found.append(max(pairs[begin : begin + length], key=lambda pair: pair[1]))
    return found
