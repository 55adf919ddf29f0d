"""Numbers for people: four significant digits, one unit and one number of decimals a column.

Every function takes the values of one column and leaves None (and what is not finite) as None,
which a table shows as "n/a". Texts are never cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

Values = Sequence[float | None]

_MAX_DECIMALS = 6
_SECONDS = ((60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


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
    if not 1e-4 <= size < 1e9:
        return f"{value:.3e}"
    return f"{value:,.{max(0, 3 - math.floor(math.log10(size)))}f}"


def two(value: float) -> str:
    """One number with two significant digits, for differences: ``3.1e-08``, ``0.012``."""
    if value == 0:
        return "0"
    return f"{value:.2g}" if 1e-3 <= abs(value) < 100 else f"{value:.1e}"


def plain(values: Values) -> tuple[str | None, ...]:
    """One number of decimals for all: four significant digits of the largest, at least three of the
    smallest.

    Where the sizes are too far apart for that, every number keeps its own four digits.
    """
    sizes = [abs(value) for value in _finite(values) if value]
    if not sizes:
        return tuple(None if value is None else "0" for value in _none_for_not_finite(values))
    decimals = max(_decimals(max(sizes), 4), _decimals(min(sizes), 3), 0)
    if (
        decimals > _MAX_DECIMALS
        or max(sizes) >= 1e9
        or (decimals and max(sizes) / min(sizes) >= 1e5)
    ):
        return tuple(
            None if value is None else short(value) for value in _none_for_not_finite(values)
        )
    return tuple(
        None if value is None else f"{value:,.{decimals}f}"
        for value in _none_for_not_finite(values)
    )


def seconds(values: Values) -> Formatted:
    """Durations, in the unit that suits the middle one."""
    return _scaled(values, _SECONDS, smallest=0.1, units=("min", 10.0))


def rate(values: Values) -> Formatted:
    """Things per second: unit ``1/s``, ``k/s``, ``M/s``."""
    formatted = _scaled(values, _THOUSANDS, smallest=10.0)
    return Formatted(unit=f"{formatted.unit or 1}/s", texts=formatted.texts)


def memory(values: Values) -> Formatted:
    """Bytes as MiB, or GiB where all are large."""
    return _scaled(values, _BYTES, smallest=10.0)


def percent(values: Values) -> Formatted:
    """Shares as percent with two decimals."""
    return Formatted(
        unit="%",
        texts=tuple(
            None if value is None else f"{100 * value:.2f}"
            for value in _none_for_not_finite(values)
        ),
    )


def count(values: Sequence[int | None]) -> tuple[str | None, ...]:
    """Whole numbers with thousands separators."""
    return tuple(None if value is None else f"{value:,}" for value in values)


def duration(value: float) -> str:
    """One duration: ``0.412 ms``, ``12.35 s``, ``3.2 min``."""
    formatted = seconds([value])
    return f"{formatted.texts[0]} {formatted.unit}"


def _scaled(
    values: Values,
    scale: Sequence[tuple[float, str]],
    *,
    smallest: float,
    units: tuple[str, float] | None = None,
) -> Formatted:
    """The first unit of which the middle value has at least ``smallest`` (``units``: a unit that
    wants more).
    """
    sizes = [abs(value) for value in _finite(values) if value]
    middle = median(sizes) if sizes else 0.0
    for factor, unit in scale:
        wanted = units[1] if units and unit == units[0] else smallest
        if middle / factor >= wanted:
            break
    if not sizes:
        factor, unit = next(((f, u) for f, u in scale if f == 1.0), scale[-1])
    return Formatted(
        unit=unit,
        texts=plain(
            [None if value is None else value / factor for value in _none_for_not_finite(values)]
        ),
    )


def _decimals(size: float, digits: int) -> int:
    return digits - 1 - math.floor(math.log10(size))


def _finite(values: Values) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _none_for_not_finite(values: Values) -> list[float | None]:
    return [value if value is not None and math.isfinite(value) else None for value in values]
