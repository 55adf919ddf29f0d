"""Step times and ratios."""

from __future__ import annotations

import pytest

from nncompare.stats.relative import relative
from nncompare.stats.summary import step_time


def test_step_time_is_of_the_slices_mean_steps():
    found = step_time([(10, 1.0), (20, 4.0), (5, 1.5)])
    assert found.model_dump() == {
        "median": 0.2,
        "p05": pytest.approx(0.11),
        "p95": pytest.approx(0.29),
        "n": 3,
    }


@pytest.mark.parametrize(
    ("slices", "says"), [([], "at least one slice"), ([(0, 1.0)], "at least one step")]
)
def test_step_time_of_nothing(slices, says):
    with pytest.raises(ValueError, match=says):
        step_time(slices)


def test_relative_to_the_fastest():
    assert relative({"a": 0.2, "b": 0.1}) == {"a": 2.0, "b": 1.0}
    assert relative({}) == {}


def test_times_that_were_not_measured_have_no_ratio():
    assert relative({"a": 0.0, "b": float("nan"), "c": 0.1}) == {"c": 1.0}
