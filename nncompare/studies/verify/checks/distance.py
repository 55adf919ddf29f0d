"""How far apart two arrays are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nncompare.backends.base import Array


def absolute(given: Array | None, expected: Array) -> float:
    """``max|a - b|``; infinite for a missing array, another shape, or a number that is not finite
    on one side only.
    """
    if given is None or given.shape != expected.shape:
        return np.inf
    a = np.asarray(given, np.float64)
    b = np.asarray(expected, np.float64)
    finite = np.isfinite(b)
    # overflow in the same places is no difference; what is finite there is still compared
    if not np.array_equal(np.isfinite(a), finite):
        return np.inf
    return float(np.abs(a[finite] - b[finite]).max(initial=0.0))


def relative(given: Array | None, expected: Array) -> float:
    """``max|a - b| / max|b|``."""
    return absolute(given, expected) / scale(expected)


def scale(values: Array) -> float:
    """The largest magnitude, or 1 where all is zero."""
    values = np.asarray(values, np.float64)
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0


def size(values: Array) -> float:
    """The largest magnitude, and 0 where all is zero; NaN where a number is NaN."""
    return float(np.abs(values).max(initial=0.0))


def largest(arrays: Mapping[str, Array]) -> float:
    """The largest magnitude in all of them, and 0 where all is zero."""
    return max(map(size, arrays.values()), default=0.0)


def scale_of_all(arrays: Mapping[str, Array]) -> float:
    """The largest ``scale`` of those that are not zero, or 1 where all are."""
    return max((scale(values) for values in arrays.values() if values.any()), default=1.0)
