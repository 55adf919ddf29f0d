"""The change that reproduces what was given is found, and nothing that only comes near it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from nncompare.studies.verify.explanation.changed import Change, Fit, Inputs
from nncompare.studies.verify.explanation.matching import Target

NO_CONTEXT: Any = None
INPUTS = Inputs(context=NO_CONTEXT)
X = np.linspace(0.5, 3, 40)
RIGHT = np.array([1.0, 2.0, 3.0])


def target(given: Any, right: Any = RIGHT, limit: float = 1e-9, **more: Any) -> Target:
    """With a formula that gives ``right``."""
    return Target(formula=lambda _: right, inputs=INPUTS, given=given, tolerance=limit, **more)


def gives(words: str, made: Any) -> Change:
    return words, INPUTS.result(lambda _: made)


def gives_for(words: str, start: Any, make: Callable[[float], Any]) -> Fit:
    return words, start, lambda number: INPUTS.result(lambda _: make(number))


@pytest.mark.parametrize("wanted", [1e-3, 1e-7, 0.2, 1.000001])
@pytest.mark.parametrize("start", [1e-5, np.array([1e-9, 1e-5, 0.5])])
def test_fit_finds_a_constant(wanted: float, start: Any) -> None:
    right, given = 1 / np.sqrt(X + 1e-5), 1 / np.sqrt(X + wanted)
    found = target(given, right).fitted(
        [gives_for("{0:.10g}", start, lambda c: 1 / np.sqrt(X + c))]
    )
    assert float(found or "nan") == pytest.approx(wanted, rel=1e-6, abs=1e-13)


def test_fit_gives_up_where_nothing_depends_on_the_constant() -> None:
    assert target(X + 1, X).fitted([gives_for("{0}", 1.0, lambda c: X)]) is None
    assert target(np.ones(3), X).fitted([gives_for("{0}", 1.0, lambda c: X * c)]) is None
    with np.errstate(all="ignore"):
        nothing = gives_for("{0}", 1.0, lambda c: np.full(3, np.nan))
        assert target(np.ones(3), X[:3]).fitted([nothing]) is None


def test_one_wrong_value_fits_any_number_and_tells_nothing() -> None:
    times = gives_for("times {0:.6g}", 1.0, lambda c: RIGHT * [1.0, 1.0, c])
    assert target(RIGHT * [1.0, 1.0, 2.0]).fitted([times]) is None
    both = gives_for("times {0:.6g}", 1.0, lambda c: RIGHT * [1.0, c, c])
    assert target(RIGHT * [1.0, 2.0, 2.0]).fitted([both]) == "times 2"


def test_the_change_that_leaves_least_is_named() -> None:
    found = target(2 * RIGHT, limit=1e-3)
    near = gives("near", 2 * RIGHT + 1e-4)
    exact, same = gives("exact", 2 * RIGHT), gives("same", 2 * RIGHT)
    assert found.best([near, exact, same]) == "exact"
    assert found.best([near]) == "near"
    assert found.best([gives("far", 3 * RIGHT), gives("another shape", RIGHT[:2])]) is None


def test_a_change_that_does_not_fit_the_formula_explains_nothing() -> None:
    turned = INPUTS.result(partial(np.transpose, axes=(0, 1)))
    assert target(2 * RIGHT).best([("has no second axis", turned)]) is None


def test_what_changes_nothing_explains_nothing() -> None:
    assert target(RIGHT + 1e-12).best([gives("as it is", RIGHT)]) is None


def test_a_number_is_fitted_and_told() -> None:
    fits = [
        gives_for("shifted by {0:.6g}", 0.0, lambda c: RIGHT + c),
        gives_for("times {0:.6g}", 1.0, lambda c: c * RIGHT),
    ]
    assert target(2.5 * RIGHT).fitted(fits) == "times 2.5"
    assert target(RIGHT - 0.5).fitted(fits) == "shifted by -0.5"
    assert target(0 * RIGHT).fitted(fits) == "times 0"
    assert target(RIGHT**2).fitted(fits) is None


def test_units_may_differ_from_entry_to_entry() -> None:
    units = np.array([1.0, 1e6, 1.0])
    found = target(RIGHT + np.array([0.0, 1.0, 0.0]), relative_to=units)
    assert found.deviation == pytest.approx(1e-6)


def test_a_part_that_is_off_is_told() -> None:
    wrong = np.ones((3, 4))
    wrong[1] += [0.1, 0.2, 0.3, 0.4]
    assert target(wrong, np.ones((3, 4))).part() == "only 2 of 3 along axis 0 is off"
    assert target(wrong + 1, np.ones((3, 4))).part() is None
