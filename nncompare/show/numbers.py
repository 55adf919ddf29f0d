"""Numbers for people: four significant digits, one unit and one number of decimals a column.

Every function takes the values of one column and leaves None (and what is not finite) as None,
which a table shows as "n/a". Texts are never cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeGuard

Values = Sequence[float | None]

_MAX_DECIMALS = 6
_LARGE = 1e9
"""From here on numbers are written with an exponent."""
# (middle value from which a unit suits, the unit's size, its name), largest first
_SECONDS = ((600.0, 60.0, "min"), (0.1, 1.0, "s"), (1e-4, 1e-3, "ms"), (0.0, 1e-6, "µs"))
_BYTES = ((10 * 2.0**30, 2.0**30, "GiB"), (10 * 2.0**20, 2.0**20, "MiB"), (0.0, 2.0**10, "KiB"))
_THOUSANDS = ((1e10, 1e9, "G"), (1e7, 1e6, "M"), (1e4, 1e3, "k"), (0.0, 1.0, ""))


@dataclass(frozen=True, kw_only=True)
class Formatted:
    """A column's texts and their common unit."""

    unit: str
    texts: tuple[str | None, ...]


def short(value: float) -> str:
    """One number with four significant digits: ``0.07123``, ``12.35``, ``1,234,567``,
    ``3.100e-08``, ``0``.
    """
    if value == 0:
        return "0"
    size = abs(value)
    # beyond these a plain number would be a row of zeros
    if size < 1e-4 or size >= _LARGE:
        return f"{value:.3e}"
    # large numbers keep their digits before the point
    decimals = max(0, _decimals(size, 4))
    return f"{value:,.{decimals}f}"


def two(value: float) -> str:
    """One number with two significant digits, for differences: ``3.1e-08``, ``0.012``."""
    if value == 0:
        return "0"
    # else %g would write all digits before the point, or zeros behind it
    if 1e-3 <= abs(value) < 100:
        return f"{value:.2g}"
    return f"{value:.1e}"


def plain(values: Values) -> tuple[str | None, ...]:
    """One number of decimals for all: four significant digits of the largest, at least three of the
    smallest.

    Where the sizes are too far apart for that, every number keeps its own four digits.
    """
    sizes = _sizes(values)
    # nothing but zeros and unknown values
    if not sizes:
        return _texts(values, lambda _: "0")
    largest = max(sizes)
    smallest = min(sizes)
    decimals = max(_decimals(largest, 4), _decimals(smallest, 3), 0)
    too_far_apart = decimals > 0 and largest / smallest >= 1e5
    # one number of decimals would give rows of zeros, or digits that mean nothing
    if decimals > _MAX_DECIMALS or largest >= _LARGE or too_far_apart:
        return _texts(values, short)
    return _texts(values, lambda value: f"{value:,.{decimals}f}")


def seconds(values: Values) -> Formatted:
    """Durations, in the unit that suits the middle one."""
    return _scaled(values, _SECONDS)


def rate(values: Values) -> Formatted:
    """Things per second: unit ``1/s``, ``k/s``, ``M/s``."""
    formatted = _scaled(values, _THOUSANDS)
    return Formatted(unit=f"{formatted.unit or 1}/s", texts=formatted.texts)


def memory(values: Values) -> Formatted:
    """Bytes as MiB, or GiB where all are large."""
    return _scaled(values, _BYTES)


def percent(values: Values) -> Formatted:
    """Shares as percent with two decimals."""
    return Formatted(unit="%", texts=_texts(values, lambda value: f"{100 * value:.2f}"))


def count(values: Sequence[int | None]) -> tuple[str | None, ...]:
    """Whole numbers with thousands separators."""
    return tuple(None if value is None else f"{value:,}" for value in values)


def counted(number: int, thing: str) -> str:
    """``1 epoch``, ``20 epochs``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def duration(value: float) -> str:
    """One duration: ``0.412 ms``, ``12.35 s``, ``3.2 min``."""
    # a column of one has the unit that suits it
    formatted = seconds([value])
    return f"{formatted.texts[0]} {formatted.unit}"


def _scaled(values: Values, scale: Sequence[tuple[float, float, str]]) -> Formatted:
    """All values in one unit: the first of the scale that suits the middle value."""
    sizes = _sizes(values)
    # zeros have no size to choose by
    middle = median(sizes) if sizes else 1.0
    factor, unit = next((size, name) for least, size, name in scale if middle >= least)
    # formatted after the division, so that the column has its four digits
    scaled = [None if value is None else value / factor for value in values]
    return Formatted(unit=unit, texts=plain(scaled))


def _decimals(size: float, digits: int) -> int:
    """Decimals that show so many significant digits; negative for large numbers."""
    return digits - 1 - math.floor(math.log10(size))


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _sizes(values: Values) -> list[float]:
    """Absolute values of what is known and not 0."""
    return [abs(value) for value in values if _is_known(value) and value != 0]


def _texts(values: Values, write: Callable[[float], str]) -> tuple[str | None, ...]:
    """The text of every known value."""
    return tuple(write(value) if _is_known(value) else None for value in values)
