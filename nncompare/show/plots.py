"""Small plots as text: values in, lines of text out. Nothing here knows about a terminal.

A curve is drawn in braille cells, which are two dots wide and four high, or, where only ASCII is at
hand, with ``o``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Series = Sequence[float | None]

LOG_FROM = 20.0
"""A range this many times its smallest value is drawn on a logarithmic axis."""
_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of each dot of a braille cell, by row and column (Unicode 15, section 21.1)."""
_ASCII = ((1,),)
"""A cell of one dot."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Smallest and largest value; ``log``: positions are those of the logarithms."""

    low: float
    high: float
    log: bool = False

    def position(self, value: float) -> float | None:
        """0 at the lower end, 1 at the upper one, values beyond are held at the ends; None: cannot
        be drawn.
        """
        # a loss of zero has no logarithm
        if not math.isfinite(value) or (self.log and value <= 0):
            return None
        # a flat curve runs through the middle
        if self.high == self.low:
            return 0.5
        low = self._on_scale(self.low)
        high = self._on_scale(self.high)
        at = self._on_scale(value)
        # divided first: at the ends of the range of floats the difference itself would overflow
        scale = max(abs(low), abs(high))
        share = (at / scale - low / scale) / (high / scale - low / scale)
        return min(1.0, max(0.0, share))

    def _on_scale(self, value: float) -> float:
        return math.log(value) if self.log else value


def choose_axis(series: Iterable[Series]) -> Axis | None:
    """One axis for all series; None if there is no finite value."""
    values = [
        value for one in series for value in one if value is not None and math.isfinite(value)
    ]
    # a training that failed before its first epoch ended
    if not values:
        return None
    low = min(values)
    high = max(values)
    # falling losses are exponential: on a linear axis all but the first epochs would lie flat
    return Axis(low=low, high=high, log=low > 0 and high / low >= LOG_FROM)


def curve(
    values: Series,
    *,
    axis: Axis,
    width: int,
    height: int,
    length: int | None = None,
    ascii: bool = False,
) -> list[str]:
    """A curve through the values, with gaps where a value is missing.

    Args:
        values: one for each epoch; None, NaN and infinity are gaps.
        width, height: cells.
        length: epochs of the whole x axis, if this curve may be shorter than others; default:
            ``len(values)``.

    Returns:
        ``height`` lines of exactly ``width`` characters, top first.
    """
    pattern = _ASCII if ascii else _BRAILLE
    down = len(pattern)
    across = len(pattern[0])
    columns = across * width
    rows = down * height
    last = (length or len(values)) - 1
    cells = [[0] * width for _ in range(height)]
    before: tuple[int, int] | None = None
    for index, value in enumerate(values):
        position = None if value is None else axis.position(value)
        # a missing value is a gap and no line through zero
        if position is None:
            before = None
            continue
        # a single epoch stands at the left
        x = round(index * (columns - 1) / last) if last > 0 else 0
        y = round((1 - position) * (rows - 1))
        point = (min(x, columns - 1), y)
        # after a gap the curve begins anew, with a single dot
        for column, row in _line(before or point, point):
            cells[row // down][column // across] |= pattern[row % down][column % across]
        before = point
    # spaces in place of empty cells: they can be cut off at the end of a line
    letters = {0: " ", 1: "o"} if ascii else {0: " "}
    lines = []
    for line in cells:
        drawn = [letters.get(bits) or chr(0x2800 + bits) for bits in line]
        lines.append("".join(drawn))
    return lines


def _line(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The dots of a straight line between two dots, both ends included."""
    # as many dots as the longer side has cells, so that the line has no holes
    x, y = start
    width = end[0] - x
    height = end[1] - y
    steps = max(abs(width), abs(height), 1)
    for step in range(steps + 1):
        column = round(x + width * step / steps)
        row = round(y + height * step / steps)
        yield column, row
