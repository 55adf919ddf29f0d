"""The change that reproduces what was given is found, and nothing that only comes near it."""

from __future__ import annotations

import numpy as np
import pytest

from nncompare.studies.verify.explanation.matching import Target, fit

X = np.linspace(0.5, 3, 40)


@pytest.mark.parametrize("wanted", [1e-3, 1e-7, 0.2, 1.000001])
def test_fit_finds_a_constant(wanted: float) -> None:
    found = fit(lambda c: 1 / np.sqrt(X + c), 1 / np.sqrt(X + wanted), 1e-5)
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-13)


def test_fit_gives_up_where_nothing_depends_on_the_constant() -> None:
    assert fit(lambda c: X, X + 1, 1.0) is None
    assert fit(lambda c: X * c, np.ones(3), 1.0) is None
    with np.errstate(all="ignore"):
        assert fit(lambda c: np.full(3, np.nan), np.ones(3), 1.0) is None


RIGHT = np.array([1.0, 2.0, 3.0])


def target(given: np.ndarray, limit: float = 1e-9) -> Target:
    return Target(given=given, right=RIGHT, unit=3.0, limit=limit)


def test_the_change_that_leaves_least_is_named() -> None:
    found = target(2 * RIGHT, limit=1e-3)
    near = 2 * RIGHT + 1e-4
    assert found.best([("near", near), ("exact", 2 * RIGHT), ("same", 2 * RIGHT)]) == "exact"
    assert found.best([("near", near)]) == "near"
    assert found.best([("far", 3 * RIGHT), ("another shape", RIGHT[:2]), ("none", None)]) is None


def test_what_changes_nothing_explains_nothing() -> None:
    assert target(RIGHT + 1e-12).best([("as it is", RIGHT)]) is None


def test_a_number_is_fitted_and_told() -> None:
    fits = [
        ("shifted by {0:.6g}", 0.0, lambda c: RIGHT + c),
        ("times {0:.6g}", 1.0, lambda c: c * RIGHT),
    ]
    assert target(2.5 * RIGHT).fitted(fits) == "times 2.5"
    assert target(RIGHT - 0.5).fitted(fits) == "shifted by -0.5"
    assert target(0 * RIGHT).fitted(fits) == "times 0"
    assert target(RIGHT**2).fitted(fits) is None


def test_units_may_differ_from_entry_to_entry() -> None:
    units = np.array([1.0, 1e6, 1.0])
    found = Target(given=RIGHT + np.array([0.0, 1.0, 0.0]), right=RIGHT, unit=units, limit=1e-3)
    assert found.deviation == pytest.approx(1e-6)
