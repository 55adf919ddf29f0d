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


def loss_curves(rows: Sequence[TrainedRuntime]) -> list[Curves]:
    """The plots of a run; none if no runtime has a loss."""
    known = [row for row in rows if _axis([row])]
    return [Curves(known)] if known else []


class Curves:
    """Training and validation loss over epochs, one plot a runtime.

    Only runtimes that finished are drawn: a loss that ran away would flatten all others. The rest
    is told in words, and so is everything where no training had a second epoch.

    Args:
        rows: of a result, each with a loss.
    """

    def __init__(self, rows: Sequence[TrainedRuntime]):
        finished = [row for row in rows if row.status == "ok"]
        self._epochs = max((len(row.history) for row in finished), default=0)
        # a curve of one point is a number
        self._drawn = finished if self._epochs > 1 else []
        self._told = [row for row in rows if row not in self._drawn]
        self._axis = _axis(self._drawn)
        """One for all plots; None: nothing is drawn."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield section(self._title())
        if self._axis is not None:
            yield from self._plots(self._axis, options)
        yield from _in_words(self._told, ascii=options.ascii_only)
        yield remark(NOTE)

    def __html__(self) -> str:
        parts = [html(section(self._title()))]
        if self._axis is not None:
            parts += [_figure(row, self._axis, self._epochs) for row in self._drawn]
        parts += map(html, _in_words(self._told, ascii=False))
        return "".join([*parts, html(remark(NOTE))])

    def _title(self) -> str:
        if self._axis is None:
            return "Loss by epoch"
        scale = ", logarithmic axis" if self._axis.log else ""
        return f"Loss by epoch{scale}, the same for all plots"

    def _plots(self, axis: Axis, options: ConsoleOptions) -> Iterator[Text]:
        """Rows of plots, as many beside each other as the width allows."""
        ends = (numbers.short(axis.high), numbers.short(axis.low))
        margin = max(len("validation"), *map(len, ends))
        room = max(_LEAST + 3, options.max_width - margin)
        # a plot narrower than this hides the shape of its curve
        beside = max(1, min(len(self._drawn), room // (_LEAST + 3)))
        width = max(8, min(_MOST, room // beside - 3, options.max_width - margin - 3))
        panel = _Panel(
            axis=axis,
            ends=ends,
            margin=margin,
            width=width,
            epochs=self._epochs,
            ascii=options.ascii_only,
        )
        for start in range(0, len(self._drawn), beside):
            yield from panel.lines(self._drawn[start : start + beside])


def _axis(rows: Sequence[TrainedRuntime]) -> Axis | None:
    return choose_axis([series(row, name) for row in rows for _, name in PARTS])


def _figure(row: TrainedRuntime, axis: Axis, epochs: int) -> str:
    """Training (solid) and validation (dashed) loss of one runtime."""
    lines = []
    for title, name in PARTS:
        values = series(row, name)
        # colours are the page's own, so the two are told apart by their strokes
        dashed = name != "train_loss"
        stroke = "dashed" if dashed else "solid"
        caption = f"{title} ({stroke}) {first_and_last(values)}"
        lines.append(Line(caption=caption, values=values, dashed=dashed))
    return figure(row.runtime, lines, axis=axis, length=epochs)


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """Plots beside each other: names, then training, then validation, then the epochs.

    Args:
        ends: the axis's largest and smallest value, in words.
        margin: letters before the first plot.
        width: letters of a plot.
        epochs: of the longest training.
    """

    axis: Axis
    ends: tuple[str, str]
    margin: int
    width: int
    epochs: int
    ascii: bool

    def lines(self, rows: Sequence[TrainedRuntime]) -> Iterator[Text]:
        yield self._line("", [f"  {row.runtime}" for row in rows], style="bold")
        for title, name in PARTS:
            values = [series(row, name) for row in rows]
            # a training without validation has no second curve
            if choose_axis(values):
                heads = ["  " + first_and_last(one, ascii=self.ascii) for one in values]
                yield self._line(title.ljust(self.margin), heads)
                yield from self._curves(values)
        # a pipe in another encoding would show question marks
        corner = "+" if self.ascii else "└"
        dash = "-" if self.ascii else "─"
        yield self._line("", [corner + dash * self.width for _ in rows])
        last = f"{self.epochs:,}".rjust(self.width - 1)
        yield self._line("epoch", [" 1" + last for _ in rows])

    def _curves(self, values: Sequence[Series]) -> Iterator[Text]:
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
        high, low = self.ends
        labels = [high, *[""] * (HEIGHT - 2), low]
        for label, *lines in zip(labels, *plots, strict=True):
            tick = "┤" if label else "│"
            edge = "|" if self.ascii else tick
            yield self._line(label, [edge + line for line in lines])

    def _line(self, label: str, cells: Sequence[str], *, style: str = "") -> Text:
        line = Text(label.rjust(self.margin), no_wrap=True)
        for cell in cells:
            line.append(" ")
            line.append(cell, style=style)
            line.append(" " * (self.width + 2 - cell_len(cell)))
        line.rstrip()
        return line


def series(row: TrainedRuntime, name: str) -> Series:
    """One value for each epoch of a row's history."""
    return [getattr(epoch, name) for epoch in row.history]


def first_and_last(values: Series, *, ascii: bool = False) -> str:
    """``2.301 → 0.07123`` (``->`` in ASCII), of the values that are known."""
    known = [numbers.short(value) for value in values if value is not None]
    # a training that failed in its first epoch
    if not known:
        return "n/a"
    arrow = " -> " if ascii else " → "
    return arrow.join(known if len(known) == 1 else (known[0], known[-1]))


def _in_words(rows: Sequence[TrainedRuntime], *, ascii: bool) -> Iterator[Text]:
    names = max((len(row.runtime) for row in rows), default=0)
    for row in rows:
        line = f"  {row.runtime.ljust(names)}"
        for title, name in PARTS:
            line += f"   {title} {first_and_last(series(row, name), ascii=ascii)}"
        # why the runtime has no plot
        how = "" if row.status == "ok" else f", {row.status}"
        yield Text(f"{line}   ({numbers.counted(len(row.history), 'epoch')}{how})")
