"""Derivatives by central differences, so that no framework is its own judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

from nncompare.numerics.arrays import Params


def directional_derivative(
    f: Callable[[Params], float], params: Params, direction: Params, h: float = 1e-5
) -> float:
    """``(8 (f(p + h d) - f(p - h d)) - (f(p + 2h d) - f(p - 2h d))) / 12h``: the central difference
    over five points (Fornberg 1988, table 1), off by ``O(h^4)`` and by rounding of about ``1e-16
    |f| / h``.

    Args:
        f: a function of all parameters, smooth within ``2h`` of ``params``.
        params: where, float64.
        direction: ``d``; parameters that it does not name stay as they are.
        h: the step.
    """

    def at(t: float) -> float:
        return f({**params, **{name: params[name] + t * d for name, d in direction.items()}})

    # two central differences; their errors of order h^2 cancel
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def refined_derivative(
    f: Callable[[Params], float],
    params: Params,
    direction: Params,
    steps: Iterable[float] = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
) -> tuple[float, float]:
    """The five-point derivative with the step that suits ``f`` best, and an estimate of its error.

    A long step loses to curvature and kinks, a short one to rounding. Between neighbouring steps
    the derivative moves by about the error of the worse of the two; the step before which it moves
    least is taken (the stopping rule of Ridders 1982). Nothing but ``f`` decides it, so it favours
    no gradient that is judged by it.

    Args:
        direction: of length one; ``steps`` are distances along it.

    Returns:
        Derivative, and the larger of its last movement and the rounding of ``f``.
    """
    lengths = list(steps)
    found = [directional_derivative(f, params, direction, h) for h in lengths]
    moved = [abs(after - before) for before, after in pairwise(found)]
    best = int(np.argmin(moved))
    # of two steps that agree, the shorter is freer of kinks and the longer of rounding: the longer
    # decides
    rounding = 4 * np.finfo(np.float64).eps * abs(f(params)) / lengths[best]
    return found[best], max(moved[best], rounding)


def gradient(
    f: Callable[[Params], float], params: Params, names: Iterable[str], h: float = 1e-5
) -> Params:
    """The gradient with respect to ``names``, one difference per number: for tiny models only."""
    found: Params = {}
    for name in names:
        values = np.zeros_like(params[name], np.float64)
        for index in np.ndindex(values.shape):
            unit = np.zeros_like(values)
            unit[index] = 1.0
            values[index] = directional_derivative(f, params, {name: unit}, h)
        found[name] = values
    return found
