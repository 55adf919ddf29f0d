"""A table as data, and its picture in a terminal.

A sheet has one row a runtime. Where the terminal is too narrow for that, it is turned on its side
(one row a quantity), and cut into blocks of runtimes if it must be: a number is never cut and never
wrapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
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

    @property
    def head_lines(self) -> list[str]:
        """Head and unit as they stand above a column, a word a line."""
        return [*self.head.split(" "), self.unit] if self.unit else self.head.split(" ")

    @property
    def name(self) -> str:
        """Head and unit as they stand before a row."""
        return f"{self.head}, {self.unit}" if self.unit else self.head

    def width(self, row: int) -> int:
        """Letters of a cell, with the mark where the column has one."""
        text = self.texts[row]
        return len(UNKNOWN if text is None else text) + (2 if self.best else 0)


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

    @property
    def has_figures(self) -> bool:
        """Whether a single number is known."""
        numbers = [column for column in self.columns if column.number]
        return any(text is not None for column in numbers for text in column.texts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield section(self.title)
        if not self.prose and self._width() <= options.max_width:
            yield self._upright()
        else:
            # a number is never cut: what does not fit goes into a block of its own
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
        width = max(map(len, (self.corner, *self.labels)))
        for column in self.columns:
            widths = [column.width(row) for row in range(len(self.labels))]
            widths += map(len, column.head_lines)
            width += max(widths) + _GAP
        return width

    def _upright(self) -> Table:
        table = _table()
        table.add_column(Text(self.corner), no_wrap=True, overflow="fold")
        for column in self.columns:
            justify: JustifyMethod = "right" if column.number else "left"
            head = Text("\n".join(column.head_lines))
            table.add_column(head, justify=justify, no_wrap=True, overflow="fold")
        for row, label in enumerate(self.labels):
            cells = [_cell(column, row, mark=bool(column.best)) for column in self.columns]
            table.add_row(Text(label), *cells)
        return table

    def _turned(self, rows: Sequence[int]) -> Table:
        table = _table()
        table.add_column(Text(""), overflow="fold", max_width=self._label_limit)
        justify: JustifyMethod = "left" if self.prose else "right"
        for row in rows:
            label = Text(self.labels[row])
            table.add_column(label, justify=justify, no_wrap=not self.prose, overflow="fold")
        for column in self.columns:
            cells = [_cell(column, row, mark=self.marked) for row in rows]
            table.add_row(Text(column.name), *cells)
        return table

    def _blocks(self, width: int) -> Iterator[list[int]]:
        """Rows of the sheet that fit beside each other when it lies on its side."""
        names = max((len(column.name) for column in self.columns), default=0)
        first = min(self._label_limit, names)
        block: list[int] = []
        used = first
        for row, label in enumerate(self.labels):
            cells = max((column.width(row) for column in self.columns), default=0)
            # words may wrap; a column of numbers keeps room for the mark of any row
            cells = min(cells, _PROSE_LEAST) if self.prose else cells + 2 * self.marked
            need = max(len(label), cells) + _GAP
            # a block holds one runtime at least, however narrow the terminal is
            if block and used + need > width:
                yield block
                block = []
                used = first
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
    known = {row: value for row, value in enumerate(values) if value is not None}
    # equal in every digit that is shown: a mark would tell of noise
    if len({texts[row] for row in known}) < 2:
        return frozenset()
    choose = max if largest else min
    winner = choose(known, key=known.__getitem__)
    return frozenset(row for row in known if texts[row] == texts[winner])


class Section(Text):
    """The title of a part of a report."""


def section(title: str) -> Section:
    """A title as it stands above every part of a report."""
    return Section(title, style="bold")


def heading(name: str, text: str) -> Text:
    """The first line of a report: a name, and beside it what it is of."""
    line = Text(name, style="bold")
    return line.append(f"  {text}", style="not bold")


def spaced(parts: Sequence[RenderableType]) -> Group:
    """The parts of a report below each other, with a blank line between them."""
    first, *others = parts
    lines = [first]
    for part in others:
        lines += [Text(), part]
    return Group(*lines)


def grid_of_texts(rows: Iterable[tuple[str, str]] = ()) -> Table:
    """Names, and texts that wrap beside them.

    Args:
        rows: name and text; rows of another style may be added to the grid.
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(Text(f"  {name}", style="dim"), Text(text))
    return grid


def remark(text: str) -> Padding:
    """A sentence under a table."""
    return Padding(Text(text, style="dim"), (0, 0, 0, 2), expand=False)


def _cell(column: Column, row: int, *, mark: bool) -> Text:
    """``mark``: the column keeps room for the mark, so that digits stand under digits."""
    text = column.texts[row]
    # digits stand under digits whether a row has the mark or not
    tail = "  " if mark else ""
    # dim, so that the eye finds the figures
    if text is None:
        return Text(UNKNOWN + tail, style="dim")
    # bold on a terminal; the star is for pipes and for those who see no bold
    if row in column.best:
        return Text(f"{text} {BEST}", style="bold")
    return Text(text + tail)


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style=""
    )
