"""Whether one change of the reference reproduces what a runtime gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks.distance import absolute

Change = tuple[str, Array | None]
"""Words, and what the reference gives with this change; None where it does not fit. Changes come
from generators, so that each is evaluated when its turn comes and not before.
"""
Fit = tuple[str, float, Callable[[float], Array | None]]
"""Words for the value ``{0}`` of one number, its right value, and what the reference gives for
another.
"""
_ITERATIONS = 12
_DIGITS = 10
_NOTHING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is to be explained.

    Args:
        given: what the runtime gave; ``right``: what the reference gives as it is.
        unit: what differences are relative to; one number, or an array that spreads to the
            shape of ``given``.
        limit: relative difference from which a change no longer explains what was given.
    """

    given: Array
    right: Array
    unit: Array | float
    limit: float

    def distance(self, made: Array | None) -> float:
        """Of what the reference made from what was given; infinite for another shape."""
        return np.inf if made is None else self._apart(self.given, made)

    @property
    def deviation(self) -> float:
        """How far what was given is from the reference as it is."""
        return self._apart(self.given, self.right)

    def best(self, changes: Iterable[Change]) -> str | None:
        """Words of the change that reproduces what was given; of several the one that leaves least.

        A change that hardly changes anything explains nothing, however close it comes.
        """
        words = None
        least = self.limit
        for label, made in changes:
            left = self.distance(made)
            # of equal ones the first stays: it is the likelier
            nearer = left < least if words else left <= least
            if made is not None and nearer and self._changes_enough(made):
                words = label
                least = left
        return words

    def fitted(self, fits: Iterable[Fit]) -> str | None:
        """Words of the first change by one number, fitted to what was given."""
        for label, start, make in fits:
            value = fit(make, self.given, start)
            if value is None:
                continue
            left = self.distance(make(value))
            # a fit ends a little beside the value, so it may leave a little more
            if left <= max(self.limit, min(10 * self.limit, 0.2 * self.deviation)):
                shown = self._roundest(make, value, max(2 * left, 1e-2 * self.limit))
                return label.format(0.0 if abs(shown) < _NOTHING else shown)
        return None

    def _roundest(
        self, make: Callable[[float], Array | None], value: float, enough: float
    ) -> float:
        """The number with the fewest digits that leaves as little as the fitted one: what somebody
        may have typed.
        """
        for digits in range(_DIGITS):
            # with no digit at all it is zero
            shorter = float(f"{value:.{digits}g}") if digits else 0.0
            if self.distance(make(shorter)) <= enough:
                return shorter
        return value

    def _changes_enough(self, made: Array) -> bool:
        return self._apart(self.right, made) > self.limit

    def _apart(self, a: Array, b: Array) -> float:
        if a.shape != b.shape:
            return np.inf
        return absolute(a / self.unit, b / self.unit)


def fit(make: Callable[[float], Array | None], given: Array, start: float) -> float | None:
    """The number that brings ``make(number)`` closest to ``given``, by Gauss and Newton's method in
    one unknown.

    Args:
        make: what the reference gives for a value of the number, smooth in it.
        given: what was observed, of the same shape.
        start: the right value; the wrong one is looked for from there.

    Returns:
        The value, or None if nothing depends on it or the search leaves the numbers.
    """
    value = start
    for _ in range(_ITERATIONS):
        width = 1e-6 * max(abs(value), 1e-9)
        here, below, above = make(value), make(value - width), make(value + width)
        if here is None or below is None or above is None or here.shape != given.shape:
            return None
        # twice the width apart around the value: exact to second order
        slope = (above - below) / (2 * width)
        length = float((slope**2).sum())
        residual = given - here
        if not np.isfinite(length) or length == 0.0 or not np.isfinite(residual).all():
            return None
        change = float((slope * residual).sum()) / length
        if not np.isfinite(change):
            return None
        value += change
        if abs(change) <= 1e-12 * abs(value):
            break
    return value if np.isfinite(value) else None
