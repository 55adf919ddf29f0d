"""Which single change of a formula gives what a runtime gave.

Every quantity is explained in the same way: its formula is computed once more with one thing
changed, and what comes out is held against what was observed. A quantity contributes its formula,
what was observed, its tolerance, and what can happen to it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks.distance import absolute, scale
from nncompare.studies.verify.explanation.changed import (
    Change,
    Fit,
    Inputs,
    meanings,
    numbers,
    other_values,
)

_ITERATIONS = 12
_DIGITS = 10
_NOTHING = 1e-12
_ROUNDING = 30.0
"""Of a value, in units of its dtype."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is to be explained.

    Args:
        formula: what the reference gives for some inputs; ``inputs``: as they should be.
        given: what the runtime gave.
        tolerance: relative difference from which a change no longer explains it.
        relative_to: one number, or an array that spreads to the shape of ``given``; None: the
            largest of the right values.
        rounding: relative; besides that of the dtype of ``given``.
    """

    formula: Callable[[Inputs], Array]
    inputs: Inputs
    given: Array
    tolerance: float
    relative_to: Array | float | None = None
    rounding: float = 0.0

    @cached_property
    def right(self) -> Array:
        """What the formula gives as it is."""
        return np.asarray(self.formula(self.inputs), np.float64)

    @cached_property
    def unit(self) -> Array | float:
        return scale(self.right) if self.relative_to is None else self.relative_to

    @cached_property
    def deviation(self) -> float:
        """How far what was given is from the formula as it is."""
        return self._apart(self.given, self.right)

    @cached_property
    def noise(self) -> float:
        """Relative: a smaller deviation is no error."""
        return max(self.rounding, _ROUNDING * float(np.finfo(self.given.dtype).eps))

    @cached_property
    def limit(self) -> float:
        """Nearly all of a deviation must be explained, however small it is; but no more sharply
        than numbers are rounded.
        """
        part = 0.1 * self.deviation
        return min(self.tolerance, max(part, min(self.noise, 2 * part)))

    @np.errstate(all="ignore")
    def looks_like(self, changes: Iterable[Change] = (), fits: Iterable[Fit] = ()) -> str | None:
        """The words of the one change that gives what the runtime gave, or None.

        What the description says of itself comes before what else can happen: ``changes``, and
        ``fits`` of one number.
        """
        if self.deviation <= self.noise:
            return None
        return (
            self.best([*meanings(self.inputs), *other_values(self.inputs)])
            or self.fitted(numbers(self.inputs))
            or self.best(changes)
            or self.fitted(fits)
        )

    def best(self, changes: Iterable[Change]) -> str | None:
        """Words of the change that reproduces what was given; of several the one that leaves
        least.
        """
        words, least = None, np.inf
        for label, changed in changes:
            left = self._left(changed)
            # of equal ones the first stays: it is the likelier
            if left < least and left <= self.limit and self.explained_by(changed):
                words, least = label, left
        return words

    def explained_by(self, changed: Inputs) -> bool:
        """Whether a change comes close enough. One that hardly changes anything explains nothing,
        however close it comes.
        """
        made = self.made(changed)
        if made is None or self._apart(self.given, made) > self.limit:
            return False
        return self._apart(self.right, made) > self.limit

    def fitted(self, fits: Iterable[Fit]) -> str | None:
        """Words of the first change by one number, fitted to what was given.

        A single wrong value fits any number, and tells nothing.
        """
        if self.given.shape == self.right.shape and self._off().sum() < 2:
            return None
        for label, starts, change in fits:
            value = self._fit(change, np.atleast_1d(starts).tolist())
            left = np.inf if value is None else self._left(change(value))
            # a fit ends a little beside the value, so it may leave a little more
            if value is not None and left <= min(10 * self.limit, 0.2 * self.deviation):
                shown = self._roundest(change, value, max(2 * left, 1e-2 * self.limit))
                return label.format(0.0 if abs(shown) < _NOTHING else shown)
        return None

    def _fit(self, change: Callable[[float], Inputs], starts: Sequence[float]) -> float | None:
        """The number that leaves least, by Gauss and Newton's method in one unknown.

        Args:
            change: the inputs with a value of the number; the formula is smooth in it.
            starts: from the likeliest of them the search begins.

        Returns:
            The value, or None if nothing depends on it or the search leaves the numbers.
        """
        value = min(starts, key=lambda one: self._left(change(one)))
        for _ in range(_ITERATIONS):
            width = 1e-6 * max(abs(value), 1e-9)
            around = [self.made(change(value + far)) for far in (0.0, -width, width)]
            made = [one for one in around if one is not None and one.shape == self.given.shape]
            if len(made) < len(around):
                return None
            here, below, above = made
            # twice the width apart around the value: exact to second order
            slope = (above - below) / (2 * width)
            length = float((slope**2).sum())
            if length == 0.0:
                return None
            moved = float((slope * (self.given - here)).sum()) / length
            if not np.isfinite(moved):
                return None
            value += moved
            if abs(moved) <= 1e-12 * abs(value):
                break
        return value

    def part(self) -> str | None:
        """Which features, steps or examples are off, where it is not more than half of them."""
        off = self._off() if self.given.shape == self.right.shape else np.zeros(())
        for axis in reversed(range(off.ndim)):
            others = tuple(other for other in range(off.ndim) if other != axis)
            where = np.flatnonzero(off.any(axis=others))
            if 0 < len(where) <= off.shape[axis] // 2:
                verb = "is" if len(where) == 1 else "are"
                told = counted(where[:6])
                return f"only {told} of {off.shape[axis]} along axis {axis} {verb} off"
        return None

    def _off(self) -> Array:
        return np.asarray(np.abs(self.given - self.right) > self.limit * self.unit)

    def _roundest(self, change: Callable[[float], Inputs], value: float, enough: float) -> float:
        """The number with the fewest digits that leaves as little as the fitted one: what somebody
        may have typed.
        """
        # with no digit at all it is zero
        for shorter in (0.0, *(float(f"{value:.{digits}g}") for digits in range(1, _DIGITS))):
            if self._left(change(shorter)) <= enough:
                return shorter
        return value

    def made(self, changed: Inputs) -> Array | None:
        """What the formula gives; None where the change does not fit it."""
        try:
            made = self.right if changed.only_after(self.inputs) else self.formula(changed)
            return np.asarray(changed.after(made))
        except (ValueError, IndexError, KeyError):
            return None

    def _left(self, changed: Inputs) -> float:
        """How far a change leaves it from what was given; infinite for another shape."""
        made = self.made(changed)
        return np.inf if made is None else self._apart(self.given, made)

    def _apart(self, a: Array, b: Array) -> float:
        return absolute(a / self.unit, b / self.unit) if a.shape == b.shape else np.inf


def counted(indices: Sequence[int] | Array) -> str:
    """Indices as a reader counts, from 1."""
    return ", ".join(str(index + 1) for index in indices)
