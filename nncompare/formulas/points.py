"""Reads where a formula is looked at: ``-5:5:100`` (both ends included) or ``-1,0,2.5``."""

from __future__ import annotations

import math
from fractions import Fraction

from nncompare.errors import ConfigError, Problem

MAX_COUNT = 10_000
SOURCE = "--at"
_FORM = "write START:STOP:COUNT, for example -5:5:100, or points with commas, for example -1,0,2.5"


def parse_points(text: str) -> tuple[float, ...]:
    """The points, in the order of the text.

    Raises:
        ConfigError: with the position.
    """
    text = text.strip()
    if ":" in text:
        return _range(text)
    parts = text.split(",")
    if len(parts) > MAX_COUNT:
        raise _error(text, 1, f"{len(parts)} points, at most {MAX_COUNT:,}")
    return tuple(
        _number(text, part, begin) for part, begin in zip(parts, _begins(parts), strict=True)
    )


def _range(text: str) -> tuple[float, ...]:
    parts = text.split(":")
    begins = _begins(parts)
    if len(parts) != 3:
        raise _error(text, 1, f"{len(parts)} parts between colons, not 3; {_FORM}")
    start, stop = (
        _number(text, part, begin) for part, begin in zip(parts[:2], begins[:2], strict=True)
    )
    counted = parts[2].strip()
    if (
        not (counted.isascii() and counted.isdigit() and len(counted) < 10)
        or not 1 <= int(counted) <= MAX_COUNT
    ):
        raise _error(
            text,
            begins[2],
            f"the count is a whole number from 1 to {MAX_COUNT:,}, not {counted[:40]!r}",
        )
    count = int(counted)
    if stop <= start and not (count == 1 and stop == start):
        raise _error(text, begins[1], f"the stop {stop:g} must be greater than the start {start:g}")
    if count == 1:
        return (start,)
    begin, width = Fraction(start), Fraction(stop) - Fraction(start)
    # in fractions, so that every point is rounded once
    return tuple(float(begin + width * i / (count - 1)) for i in range(count))


def _begins(parts: list[str]) -> list[int]:
    """The columns where the parts begin, after blanks."""
    found, column = [], 1
    for part in parts:
        found.append(column + len(part) - len(part.lstrip()))
        column += len(part) + 1
    return found


def _number(text: str, part: str, column: int) -> float:
    try:
        value = float(part) if part.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = (
            f"{part.strip()[:40]!r} is not a finite number"
            if part.strip()
            else "a number is missing"
        )
        raise _error(text, column, f"{what}; {_FORM}")
    return value


def _error(text: str, column: int, message: str) -> ConfigError:
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return ConfigError(
        [Problem(path="", message=message, source=SOURCE, column=column, text=shown[:200])]
    )
