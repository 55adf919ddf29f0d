"""Small plots as SVG for a page: values in, markup out. Everything from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from nncompare.show.plots import Axis, Series

WIDTH = 240
HEIGHT = 90
"""Of one plot, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve.

    Args:
        caption: what it is, in words.
        values: one for each place of the x axis; None and what cannot be drawn are gaps.
        dashed: told apart from others by dashes, since colours are the page's.
    """

    caption: str
    values: Series
    dashed: bool


def figure(title: str, lines: Sequence[Line], *, axis: Axis, length: int) -> str:
    """A plot with its title and captions.

    Args:
        length: places of the whole x axis, if these curves may be shorter than others.
    """
    drawn = "".join(_polylines(line, axis, length) for line in lines)
    label = escape(f"{title}: {'; '.join(line.caption for line in lines)}")
    caption = "<br>".join(escape(line.caption) for line in lines)
    return (
        f"<figure><figcaption><b>{escape(title)}</b><br><small>{caption}</small></figcaption>"
        f'<svg role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="-2 -3 {WIDTH + 4} {HEIGHT + 6}">'
        f'<path d="M0 0V{HEIGHT}H{WIDTH}" fill="none" stroke="currentColor" stroke-opacity=".4"/>'
        f"{drawn}</svg></figure>"
    )


def _polylines(line: Line, axis: Axis, length: int) -> str:
    # strokes tell the curves apart: a page has its own colours
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    style = f'fill="none" stroke="currentColor" stroke-width="1.5"{dashes}'
    stretches = _stretches(line.values, axis, length)
    return "".join(f'<polyline {style} points="{points}"/>' for points in stretches)


def _stretches(values: Series, axis: Axis, length: int) -> Iterator[str]:
    """The points of each unbroken stretch."""
    stretch: list[str] = []
    # the None behind the last value ends the last stretch
    for index, value in enumerate([*values, None]):
        position = None if value is None else axis.position(value)
        if position is not None:
            x = index * WIDTH / max(1, length - 1)
            y = (1 - position) * HEIGHT
            stretch.append(f"{x:.1f},{y:.1f}")
        elif stretch:
            yield " ".join(stretch)
            stretch = []
