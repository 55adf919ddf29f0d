"""The loss curves of a run as small plots beside each other, all on one y axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show import numbers
from nncompare.show.page import html
from nncompare.show.plots import Axis, Series, choose_axis, curve
from nncompare.show.sheet import remark, section
from nncompare.show.svg import Line, figure

HEIGHT = 4
"""Lines of one plot."""
_LEAST, _MOST = 18, 34
"""Width of one plot."""
PARTS = (("train", "train_loss"), ("validation", "val_loss"))

NOTE = (
    "Train: mean over the epoch's steps, penalties and dropout included. "
    "Validation: after the epoch, in inference mode."
)


@dataclass(frozen=True)
class Curves:
    """Training and validation loss over epochs, one plot a runtime.

    Only runtimes that finished are drawn: a loss that ran away would flatten all others. The rest
    is told in words.

    Args:
        rows: of a result; those without a loss are left out.
    """

    rows: tuple[TrainedRuntime, ...]

    @property
    def known(self) -> list[TrainedRuntime]:
        """The rows that have a loss."""
        return [row for row in self.rows if choose_axis([series(row, name) for _, name in PARTS])]

    @property
    def drawn(self) -> list[TrainedRuntime]:
        """The rows that a plot can show; none where a training had a single epoch."""
        finished = [row for row in self.known if row.status == "ok"]
        return finished if any(len(row.history) > 1 for row in finished) else []

    @property
    def told(self) -> list[TrainedRuntime]:
        """The rows that words must do for."""
        return [row for row in self.known if row not in self.drawn]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.known:
            return
        axis = self._axis()
        yield section(_title(axis))
        if axis is not None:
            yield from self._plots(self.drawn, axis, self._epochs(), options)
        yield from _in_words(self.told, ascii=options.ascii_only)
        yield remark(NOTE)

    def __html__(self) -> str:
        if not self.known:
            return ""
        axis = self._axis()
        parts = [html(section(_title(axis)))]
        if axis is not None:
            parts += [_figure(row, axis, self._epochs()) for row in self.drawn]
        parts += [html(line) for line in _in_words(self.told, ascii=False)]
        return "".join([*parts, html(remark(NOTE))])

    def _axis(self) -> Axis | None:
        """One axis for all plots; None: nothing is drawn."""
        return choose_axis([series(row, name) for row in self.drawn for _, name in PARTS])

    def _epochs(self) -> int:
        return max(len(row.history) for row in self.drawn)

    def _plots(
        self, drawn: Sequence[TrainedRuntime], axis: Axis, epochs: int, options: ConsoleOptions
    ) -> Iterator[Text]:
        margin = max(len("validation"), len(numbers.short(axis.high)), len(numbers.short(axis.low)))
        room = max(_LEAST + 3, options.max_width - margin)
        beside = max(1, min(len(drawn), room // (_LEAST + 3)))
        width = max(8, min(_MOST, room // beside - 3, options.max_width - margin - 3))
        for start in range(0, len(drawn), beside):
            panel = _Panel(axis, margin, width, epochs, options.ascii_only)
            yield from panel.lines(drawn[start : start + beside])


def _title(axis: Axis | None) -> str:
    if axis is None:
        return "Loss by epoch"
    return f"Loss by epoch{', logarithmic axis' if axis.log else ''}, the same for all plots"


def _figure(row: TrainedRuntime, axis: Axis, epochs: int) -> str:
    """Training (solid) and validation (dashed) loss of one runtime."""
    lines = []
    for title, name in PARTS:
        values = series(row, name)
        dashed = name != "train_loss"
        stroke = "dashed" if dashed else "solid"
        caption = f"{title} ({stroke}) {first_and_last(values)}"
        lines.append(Line(caption=caption, values=values, dashed=dashed))
    return figure(row.runtime, lines, axis=axis, length=epochs)


@dataclass(frozen=True)
class _Panel:
    """Plots beside each other: names, then training, then validation, then the epochs."""

    axis: Axis
    margin: int
    width: int
    epochs: int
    ascii: bool

    def lines(self, rows: Sequence[TrainedRuntime]) -> Iterator[Text]:
        yield self._line("", [Text(f"  {row.runtime}", style="bold") for row in rows])
        for title, name in PARTS:
            values = [series(row, name) for row in rows]
            if not choose_axis(values):
                continue
            yield self._line(
                title, [Text("  " + first_and_last(one, ascii=self.ascii)) for one in values]
            )
            plots = [
                curve(
                    one,
                    axis=self.axis,
                    width=self.width,
                    height=HEIGHT,
                    length=self.epochs,
                    ascii=self.ascii,
                )
                for one in values
            ]
            for line in range(HEIGHT):
                label = {
                    0: numbers.short(self.axis.high),
                    HEIGHT - 1: numbers.short(self.axis.low),
                }.get(line, "")
                tick, bar = ("|", "|") if self.ascii else ("┤", "│")
                yield self._line(
                    label,
                    [Text((tick if label else bar) + plot[line]) for plot in plots],
                    right=True,
                )
        corner, dash = ("+", "-") if self.ascii else ("└", "─")
        yield self._line("", [Text(corner + dash * self.width) for _ in rows])
        last = f"{self.epochs:,}"
        yield self._line(
            "epoch", [Text(" 1" + last.rjust(self.width - 1)) for _ in rows], right=True
        )

    def _line(self, label: str, cells: Sequence[Text], *, right: bool = False) -> Text:
        line = Text(
            label.rjust(self.margin) if right else label.ljust(self.margin),
            no_wrap=True,
            overflow="fold",
        )
        for cell in cells:
            line.append(" ")
            line.append_text(cell)
            line.append(" " * (self.width + 2 - cell_len(cell.plain)))
        line.rstrip()
        return line


def series(row: TrainedRuntime, name: str) -> Series:
    """One value for each epoch of a row's history."""
    return [getattr(epoch, name) for epoch in row.history]


def first_and_last(values: Series, *, ascii: bool = False) -> str:
    """``2.301 → 0.07123`` (``->`` in ASCII), of the values that are known."""
    known = [value for value in values if value is not None]
    if not known:
        return "n/a"
    if len(known) == 1:
        return numbers.short(known[0])
    return f"{numbers.short(known[0])} {'->' if ascii else '→'} {numbers.short(known[-1])}"


def _in_words(rows: Sequence[TrainedRuntime], *, ascii: bool) -> Iterator[Text]:
    names = max((len(row.runtime) for row in rows), default=0)
    for row in rows:
        parts = "   ".join(
            f"{title} {first_and_last(series(row, name), ascii=ascii)}" for title, name in PARTS
        )
        epochs = f"{len(row.history):,} epoch{'' if len(row.history) == 1 else 's'}"
        how = "" if row.status == "ok" else f", {row.status}"
        yield Text(f"  {row.runtime.ljust(names)}   {parts}   ({epochs}{how})", overflow="fold")
