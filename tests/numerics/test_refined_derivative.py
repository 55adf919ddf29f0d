"""Derivatives by differences survive curves and kinks, and say how far off they may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nncompare.numerics.differences import refined_derivative


def one(f: Any, at: float) -> tuple[float, float]:
    return refined_derivative(
        lambda p: float(f(p["w"][0])), {"w": np.array([at])}, {"w": np.array([1.0])}
    )


@pytest.mark.parametrize(
    ("f", "slope", "at"),
    [
        (np.sin, np.cos(0.7), 0.7),
        (np.exp, np.exp(2.0), 2.0),
        # kinks beside the point, nearer than the longest steps
        (abs, 1.0, 1e-3),
        (abs, -1.0, -3e-5),
        (lambda x: max(x, 0.0) + x**2, 1 + 2e-4, 1e-4),
        (lambda x: max(x, 0.01 * x), 0.01, -2e-5),
    ],
)
def test_refined_derivative_survives_curves_and_kinks(f: Any, slope: float, at: float) -> None:
    value, error = one(f, at)
    assert abs(value - slope) <= 10 * error + 1e-9
    assert error < 1e-6


def test_refined_derivative_says_that_it_fails_at_a_kink() -> None:
    """Astride a kink of two slopes every step gives their mean: the error cannot show it, the mean
    is what there is.
    """
    value, _ = one(abs, 0.0)
    assert value == pytest.approx(0.0, abs=1e-9)
