"""A table as data, and its picture in a terminal.

A sheet has one row a runtime. Where the terminal is too narrow for that, it is turned on its side
(one row a quantity), and cut into blocks of runtimes if it must be: a number is never cut and never
wrapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import (
    Console,
    ConsoleOptions,
    Group,
    JustifyMethod,
    RenderableType,
    RenderResult,
)
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

UNKNOWN = "n/a"
BEST = "*"
_PROSE_LEAST = 16
"""Width below which a column of words is hard to read."""
_GAP = 2
"""Between two columns."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One quantity.

    Args:
        head: its name, ``step median``.
        unit: ``ms``; empty if it has none.
        texts: one for each row of the sheet; None is shown as "n/a".
        best: the rows with the best value.
        number: numbers stand to the right and are never wrapped.
    """

    head: str
    texts: tuple[str | None, ...]
    unit: str = ""
    best: frozenset[int] = frozenset()
    number: bool = True


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table with one row a runtime.

    Args:
        title: stands above it.
        corner: what the labels are.
        labels: one for each row.
        notes: sentences under the table: what a figure means, and why one is missing.
        prose: the cells are words, which may wrap; such a table always lies on its side.
    """

    title: str
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    corner: str = "runtime"
    notes: tuple[str, ...] = ()
    prose: bool = False

    @property
    def marked(self) -> bool:
        return any(column.best for column in self.columns)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield section(self.title)
        if not self.prose and self._width() <= options.max_width:
            yield self._upright()
        else:
            for index, rows in enumerate(self._blocks(options.max_width)):
                if index:
                    yield Text()
                yield self._turned(rows)
        for note in self.notes:
            yield remark(note)

    @property
    def _label_limit(self) -> int:
        """Widest first column on the side, before its words wrap."""
        return 22 if self.prose else 30

    def _width(self) -> int:
        """Of the upright table."""
        widths = [
            max(map(len, (*column.head.split(" "), column.unit, *_cells(column))))
            for column in self.columns
        ]
        return max(map(len, (self.corner, *self.labels))) + sum(width + _GAP for width in widths)

    def _upright(self) -> Table:
        table = _table()
        table.add_column(Text(self.corner), no_wrap=True, overflow="fold")
        for column in self.columns:
            head = "\n".join(
                (*column.head.split(" "), column.unit) if column.unit else column.head.split(" ")
            )
            table.add_column(Text(head), justify=_justify(column), no_wrap=True, overflow="fold")
        for row, label in enumerate(self.labels):
            table.add_row(
                Text(label),
                *(_cell(column, row, mark=bool(column.best)) for column in self.columns),
            )
        return table

    def _turned(self, rows: Sequence[int]) -> Table:
        table = _table()
        table.add_column(Text(""), overflow="fold", max_width=self._label_limit)
        for row in rows:
            justify: JustifyMethod = "left" if self.prose else "right"
            table.add_column(
                Text(self.labels[row]), justify=justify, no_wrap=not self.prose, overflow="fold"
            )
        for column in self.columns:
            table.add_row(
                Text(_head(column)), *(_cell(column, row, mark=self.marked) for row in rows)
            )
        return table

    def _blocks(self, width: int) -> Iterator[list[int]]:
        """Rows of the sheet that fit beside each other when it lies on its side."""
        first = min(
            self._label_limit, max((len(_head(column)) for column in self.columns), default=0)
        )
        block: list[int] = []
        used = first
        for row, label in enumerate(self.labels):
            cells = max((len(_cells(column)[row]) for column in self.columns), default=0)
            need = (
                max(len(label), min(cells, _PROSE_LEAST) if self.prose else cells + 2 * self.marked)
                + _GAP
            )
            if block and used + need > width:
                yield block
                block, used = [], first
            block.append(row)
            used += need
        if block:
            yield block


def best(
    texts: Sequence[str | None], values: Sequence[float | None], *, largest: bool = False
) -> frozenset[int]:
    """Rows whose text equals that of the best value: what looks equal is equal. None if all are.

    Args:
        texts: as they are shown.
        values: the figures; None takes no part.
    """
    known = [
        (value, row)
        for row, value in enumerate(values)
        if value is not None and texts[row] is not None
    ]
    if len({texts[row] for _, row in known}) < 2:
        return frozenset()
    winner = (max if largest else min)(known)[1]
    return frozenset(row for _, row in known if texts[row] == texts[winner])


class Section(Text):
    """The title of a part of a report."""


def section(title: str) -> Section:
    """A title as it stands above every part of a report."""
    return Section(title, style="bold")


def spaced(parts: Sequence[RenderableType]) -> Group:
    """The parts of a report below each other, with a blank line between them."""
    lines: list[RenderableType] = []
    for part in parts:
        if lines:
            lines.append(Text())
        lines.append(part)
    return Group(*lines)


def grid_of_texts() -> Table:
    """Names, and texts that wrap beside them."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def remark(text: str) -> Padding:
    """A sentence under a table."""
    return Padding(Text(text, style="dim", overflow="fold"), (0, 0, 0, 2), expand=False)


def _head(column: Column) -> str:
    return f"{column.head}, {column.unit}" if column.unit else column.head


def _cells(column: Column) -> list[str]:
    """Texts with the space that the mark takes."""
    tail = 2 if column.best else 0
    return [(UNKNOWN if text is None else text) + " " * tail for text in column.texts]


def _cell(column: Column, row: int, *, mark: bool) -> Text:
    """``mark``: the column keeps room for the mark, so that digits stand under digits."""
    text = column.texts[row]
    tail = "  " if mark else ""
    if text is None:
        return Text(UNKNOWN + tail, style="dim")
    if row in column.best:
        return Text(f"{text} {BEST}", style="bold")
    return Text(text + tail)


def _justify(column: Column) -> JustifyMethod:
    return "right" if column.number else "left"


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style=""
    )
