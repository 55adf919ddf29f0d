"""Reads where a formula is looked at: ``-5:5:100`` (both ends included) or ``-1,0,2.5``."""

from __future__ import annotations

import math
from fractions import Fraction

from nncompare.errors import ConfigError
from nncompare.formulas.hints import problem

MAX_COUNT = 10_000
_MOST_DIGITS = 9
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
    parts = _parts(text, ",")
    if len(parts) > MAX_COUNT:
        raise _error(text, 1, f"{len(parts)} points, at most {MAX_COUNT:,}")
    return tuple(_number(text, part, column) for part, column in parts)


def _range(text: str) -> tuple[float, ...]:
    parts = _parts(text, ":")
    if len(parts) != 3:
        raise _error(text, 1, f"{len(parts)} parts between colons, not 3; {_FORM}")
    start, stop = (_number(text, part, column) for part, column in parts[:2])
    count = _count(text, *parts[2])
    if stop <= start and not (count == 1 and stop == start):
        message = f"the stop {stop:g} must be greater than the start {start:g}"
        raise _error(text, parts[1][1], message)
    # One point has no distance to a next one.
    if count == 1:
        return (start,)
    # In fractions, so that every point is rounded once.
    begin = Fraction(start)
    width = Fraction(stop) - begin
    return tuple(float(begin + width * i / (count - 1)) for i in range(count))


def _count(text: str, counted: str, column: int) -> int:
    counted = counted.strip()
    # Python refuses to read numbers of thousands of digits.
    is_whole = counted.isascii() and counted.isdigit() and len(counted) <= _MOST_DIGITS
    if not is_whole or not 1 <= int(counted) <= MAX_COUNT:
        message = f"the count is a whole number from 1 to {MAX_COUNT:,}, not {counted[:40]!r}"
        raise _error(text, column, message)
    return int(counted)


def _parts(text: str, separator: str) -> list[tuple[str, int]]:
    """The parts, each with the column where it begins, after blanks."""
    found = []
    column = 1
    for part in text.split(separator):
        found.append((part, column + len(part) - len(part.lstrip())))
        column += len(part) + 1
    return found


def _number(text: str, part: str, column: int) -> float:
    if not part.strip():
        raise _error(text, column, f"a number is missing; {_FORM}")
    try:
        # Python reads digits of every script; people who type them mean something else.
        value = float(part) if part.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _error(text, column, f"{part.strip()[:40]!r} is not a finite number; {_FORM}")
    return value


def _error(text: str, column: int, message: str) -> ConfigError:
    return ConfigError([problem(SOURCE, text[:200], column, message)])
