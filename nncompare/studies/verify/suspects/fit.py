"""Which value of one constant explains what was seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nncompare.backends.base import Array

_ITERATIONS = 12


def fit(made: Callable[[float], Array], given: Array, start: float) -> float | None:
    """The constant that brings ``made(constant)`` closest to ``given``, by Gauss and Newton's
    method in one unknown.

    Args:
        made: output for a value of the constant, smooth in it.
        given: what was seen, of the same shape.
        start: the right value; the wrong one is looked for from there.

    Returns:
        The value, or None if the output does not depend on it or the search leaves the numbers.
    """
    value = start
    for _ in range(_ITERATIONS):
        width = 1e-6 * max(abs(value), 1e-9)
        here = made(value)
        if here.shape != given.shape:
            return None
        # twice the width apart around the value: exact to second order
        slope = (made(value + width) - made(value - width)) / (2 * width)
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
