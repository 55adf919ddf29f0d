"""Numbers and small plots: never cut, never NaN, true to their values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncompare.show import numbers
from nncompare.show.plots import Axis, choose_axis, curve

sizes = st.floats(min_value=1e-12, max_value=1e12)
anything = st.none() | st.sampled_from([math.nan, math.inf, -math.inf]) | st.floats(-1e290, 1e290)
finite = st.floats(allow_nan=False, allow_infinity=False)


def back(text: str) -> float:
    return float(text.replace(",", ""))


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0.0, "0"),
            (0.0712345, "0.07123"),
            (12.3456, "12.35"),
            (-1.5, "-1.500"),
            (1234567.0, "1,234,567"),
            (3.1e-8, "3.100e-08"),
            (2e12, "2.000e+12"),
        ],
    )
    def test_short(self, value, text):
        assert numbers.short(value) == text

    @pytest.mark.parametrize(
        ("values", "texts"),
        [
            ([0.0712345, 0.3], ("0.0712", "0.3000")),
            ([310_456.0, 125.0], ("310,456", "125")),
            ([1e-9, 2.0], ("1.000e-09", "2.000")),
            ([None, float("nan"), 0.0], (None, None, "0")),
            ([], ()),
        ],
    )
    def test_plain_columns_share_their_decimals(self, values, texts):
        assert numbers.plain(values) == texts

    @pytest.mark.parametrize(
        ("values", "unit", "texts"),
        [
            ([4.123e-4, 1.0214e-3], "ms", ("0.412", "1.021")),
            ([1.9, 0.0213], "s", ("1.9000", "0.0213")),
            ([3e-5], "µs", ("30.00",)),
            ([1200.0], "min", ("20.00",)),
            ([300.0], "s", ("300.0",)),
            ([None], "s", (None,)),
        ],
    )
    def test_seconds_take_one_unit_a_column(self, values, unit, texts):
        assert numbers.seconds(values) == numbers.Formatted(unit=unit, texts=texts)

    def test_other_units(self):
        assert numbers.memory([412_307_456, None]) == numbers.Formatted(
            unit="MiB", texts=("393.2", None)
        )
        assert numbers.memory([123_456_789_012]).unit == "GiB"
        assert numbers.rate([310_456.0]) == numbers.Formatted(unit="k/s", texts=("310.5",))
        assert numbers.rate([12.0]).unit == "1/s"
        assert numbers.percent([0.97614, None]).texts == ("97.61", None)
        assert numbers.count([203_530, None]) == ("203,530", None)
        assert numbers.duration(4.123e-4) == "0.4123 ms"

    @given(sizes)
    def test_short_is_true_to_four_digits(self, value):
        assert back(numbers.short(value)) == pytest.approx(value, rel=5.1e-4)

    @given(st.lists(sizes, min_size=1, max_size=6))
    def test_columns_are_true_to_three_digits(self, values):
        for value, text in zip(values, numbers.plain(values), strict=True):
            assert text is not None
            assert back(text) == pytest.approx(value, rel=5.1e-3)

    @given(st.lists(anything, max_size=6))
    def test_unknown_is_none_and_everything_else_a_number(self, values):
        for format in (numbers.seconds, numbers.memory, numbers.rate, numbers.percent):
            for value, text in zip(values, format(values).texts, strict=True):
                known = value is not None and math.isfinite(value)
                assert (text is not None) == known
                assert text is None or "…" not in text
                assert text is None or math.isfinite(back(text))


class TestAxis:
    def test_wide_ranges_are_logarithmic(self):
        assert choose_axis([[2.3, 0.07]]) == Axis(low=0.07, high=2.3, log=True)
        assert choose_axis([[2.3], [1.0, None, float("inf")]]) == Axis(low=1.0, high=2.3, log=False)
        assert choose_axis([[0.0, 100.0]]) == Axis(low=0.0, high=100.0, log=False)

    @pytest.mark.parametrize("series", [[], [[]], [[None, float("nan"), float("inf")]]])
    def test_nothing_to_draw(self, series):
        assert choose_axis(series) is None

    @given(finite, finite, finite)
    def test_positions_stay_on_the_axis(self, a, b, value):
        axis = choose_axis([[a, b]])
        assert axis is not None
        position = axis.position(value)
        assert position is None or 0 <= position <= 1


class TestCurve:
    def test_falling_line_goes_from_top_left_to_bottom_right(self):
        axis = Axis(low=0.0, high=1.0)
        lines = curve([1.0, 0.0], axis=axis, width=4, height=2, ascii=True)
        assert lines == ["oo  ", "  oo"]
        # 8 x 8 dots: the diagonal, four dots a cell column
        assert curve([1.0, 0.0], axis=axis, width=4, height=2) == ["⠑⢄  ", "  ⠑⢄"]

    def test_shorter_runs_end_earlier(self):
        line = curve(
            [1.0, 1.0, 1.0], axis=Axis(low=0.0, high=1.0), width=9, height=1, length=5, ascii=True
        )
        assert line == ["ooooo    "]

    def test_missing_values_are_gaps(self):
        line = curve(
            [0.5, None, float("nan"), 0.5],
            axis=Axis(low=0.5, high=0.5),
            width=7,
            height=1,
            ascii=True,
        )
        assert line == ["o     o"]

    def test_logarithmic_axis_draws_an_exponential_as_a_line(self):
        values = [10.0**-i for i in range(5)]
        axis = choose_axis([values])
        assert axis is not None
        assert curve(values, axis=axis, width=5, height=5, ascii=True) == [
            "o    ",
            " o   ",
            "  o  ",
            "   o ",
            "    o",
        ]

    @given(
        st.lists(anything, max_size=40),
        st.integers(1, 40),
        st.integers(1, 8),
        st.booleans(),
        st.integers(0, 100),
    )
    def test_always_the_size_that_was_asked(self, values, width, height, ascii, extra):
        axis = choose_axis([values]) or Axis(low=0.0, high=1.0)
        length = len(values) + extra or None
        lines = curve(values, axis=axis, width=width, height=height, length=length, ascii=ascii)
        assert [len(line) for line in lines] == [width] * height
        drawn = any(value is not None and math.isfinite(value) for value in values)
        assert (any(line.strip() for line in lines)) == drawn
