"""What the picture of a gradcheck shows, as rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nncompare.studies.gradcheck.record import GradcheckRecord, Method, RuntimeDerivatives
from nncompare.studies.gradcheck.report import NAMES

DRAWN: tuple[Method, ...] = ("reverse", "forward", "symbolic", "central", "five_point")
"""Methods that have an error to draw."""
_CLIP = 4.0
"""Values beyond this many times the 90th percentile leave the first panel, so that a pole does not
flatten the rest.
"""


def limit(values: Sequence[float]) -> float | None:
    """Where the axis ends if a few values are far beyond all others; else None."""
    sizes = sorted(map(abs, values))
    if not sizes:
        return None
    usual = sizes[min(len(sizes) - 1, int(0.9 * len(sizes)))]
    return _CLIP * usual if usual > 0 and sizes[-1] > 2 * _CLIP * usual else None


def line(
    name: str, x: Sequence[float], values: Sequence[float | None], limit: float | None
) -> list[dict[str, Any]]:
    """Points of one curve, in parts: a new one begins after a gap and on the other side of
    a pole.
    """
    rows: list[dict[str, Any]] = []
    part, before = 0, 0.0
    for at, value in zip(x, values, strict=True):
        if value is None:
            part += 1
            continue
        if (
            limit is not None
            and min(abs(before), abs(value)) > limit / _CLIP
            and before * value < 0
        ):
            part += 1
        rows.append({"curve": name, "part": f"{name} {part}", "x": at, "y": value})
        before = value
    return rows


def _pairs(
    result: GradcheckRecord, row: RuntimeDerivatives, name: Method
) -> list[tuple[float, float]]:
    """``(x, error)`` of one method where both are known, by x."""
    method = row.method(name)
    if method is None or not method.values:
        return []
    known = zip(result.points.x, method.values, result.points.derivative, strict=True)
    return sorted(
        (x, abs(got - exact)) for x, got, exact in known if got is not None and exact is not None
    )


def floor(result: GradcheckRecord, rows: Sequence[RuntimeDerivatives]) -> float | None:
    """The bottom edge, below the smallest error; None: there is nothing to draw."""
    sizes = [error for row in rows for name in DRAWN for _, error in _pairs(result, row, name)]
    if not sizes:
        return None
    positive = sorted(size for size in sizes if size > 0) or [1e-16]
    usual = positive[len(positive) // 50]  # a few are tiny by luck
    return float(10.0 ** (math.floor(math.log10(max(usual, 1e-300))) - 1))


def ceiling(result: GradcheckRecord, rows: Sequence[RuntimeDerivatives]) -> float:
    sizes = [error for row in rows for name in DRAWN for _, error in _pairs(result, row, name)]
    return float(10.0 ** math.ceil(math.log10(max(*sizes, 1e-15)) + 0.2))


def error_rows(
    result: GradcheckRecord,
    row: RuntimeDerivatives,
    methods: Sequence[Method],
    bottom: float,
    most: int,
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in methods:
        for x, error in _thinned(_pairs(result, row, name), most):
            found.append({"method": NAMES[name], "x": x, "error": max(error, bottom)})
    return found


def _thinned(pairs: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most so many pairs: of each stretch the one with the largest error."""
    length = -(-len(pairs) // most) or 1
    return [
        max(pairs[i : i + length], key=lambda pair: pair[1]) for i in range(0, len(pairs), length)
    ]
