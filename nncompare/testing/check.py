"""One comparison, and how far apart two arrays are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array

Distance = Callable[[Array | None, Array], float]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison.

    Args:
        quantity: one of ``checks.QUANTITIES``.
        what: node, parameter or step.
        worst: the largest difference; infinite for another shape, type or set of names, or a number
            not finite.
        tolerance: the largest that passes.
    """

    quantity: str
    what: str
    worst: float
    tolerance: float

    @property
    def passed(self) -> bool:
        # written so that NaN does not pass
        return self.worst <= self.tolerance


def holds(quantity: str, what: str, is_so: bool) -> Check:
    """A check of something that is so or not, with no room between."""
    return Check(quantity=quantity, what=what, worst=0.0 if is_so else np.inf, tolerance=0.0)


def each(
    quantity: str,
    given: Mapping[str, Array],
    expected: Mapping[str, Array],
    distance: Distance,
    tolerance: float,
) -> Iterator[Check]:
    """The names, and every array of ``expected``."""
    yield same_names(quantity, given, expected)
    for name, values in expected.items():
        worst = distance(given.get(name), values)
        yield Check(quantity=quantity, what=name, worst=worst, tolerance=tolerance)


def same_names(quantity: str, given: Mapping[str, Array], expected: Mapping[str, Array]) -> Check:
    """No array too many, none missing."""
    odd = sorted(set(given) ^ set(expected))
    what = f"names ({', '.join(odd)} too many or missing)" if odd else "names"
    return holds(quantity, what, not odd)


def fits(given: Array | None, expected: Array) -> bool:
    """The same shape, in float64."""
    return given is not None and given.shape == expected.shape and given.dtype == np.float64


def absolute(given: Array | None, expected: Array) -> float:
    """``max|a - b|``; infinite where the two cannot be compared."""
    if given is None or not fits(given, expected):
        return np.inf
    return float(np.abs(given - expected).max(initial=0.0))


def relative(given: Array | None, expected: Array) -> float:
    """``max|a - b| / max|b|``."""
    size = float(np.abs(expected).max(initial=0.0))
    # where all is zero, the difference itself counts
    return absolute(given, expected) / (size or 1.0)


def relative_number(given: float, expected: float) -> float:
    """``relative`` of two numbers."""
    return relative(np.asarray(given, np.float64), np.asarray(expected, np.float64))
