"""How far apart two arrays are, also where numbers are missing or not finite."""

from __future__ import annotations

import numpy as np
import pytest

from nncompare.studies.verify.checks.distance import absolute, relative, scale


def test_distances() -> None:
    a, b = np.array([1.0, -2.0, 4.0]), np.array([1.0, -2.001, 4.0])
    assert absolute(a, b) == pytest.approx(1e-3)
    assert relative(b, a) == pytest.approx(1e-3 / 4)
    assert relative(np.zeros(2), np.zeros(2)) == 0.0
    assert scale(np.zeros(2)) == 1.0
    assert absolute(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_infinitely_far(bad: float) -> None:
    a, b = np.array([1.0, 2.0]), np.array([1.0, bad])
    assert absolute(a, b) == absolute(b, a) == np.inf
    assert relative(a, b) == np.inf
    # on both sides at the same place there is nothing to compare
    assert absolute(b, b) == 0.0
    assert absolute(b, np.array([1.5, bad])) == 0.5


def test_other_shapes_and_missing_arrays_are_infinitely_far() -> None:
    assert absolute(np.zeros(3), np.zeros((3, 1))) == np.inf
    assert absolute(None, np.zeros(3)) == np.inf
