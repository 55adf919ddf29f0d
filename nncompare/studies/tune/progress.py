"""The live display of a search: a table of trials with the best so far; on a pipe one plain line a
trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.words import printable
from nncompare.spec.tune import Goal
from nncompare.studies.tune.record import TuneConfirmed
from nncompare.studies.tune.trial import FinishedTrial
from nncompare.studies.tune.watcher import Watcher

_LEAST = 15
"""Letters that are worth a column of parameters, the gap before it among them."""
SHOWN = 12
"""Finished trials that the live table keeps."""


@dataclass(kw_only=True)
class _Row:
    """One trial in the live table, in words.

    Args:
        what: how it goes or how it ended.
        value: of the goals.
    """

    number: int
    what: str = "starts"
    value: str = ""
    params: str
    seconds: str = ""


@dataclass(kw_only=True)
class _Search:
    """One runtime's search, as far as it is known.

    Args:
        goal: decides what is best.
        done: finished trials, those of an earlier process among them.
        begun: the clock's time.
        best: the goal's best value, and the trial that has it.
        rows: the finished trials that are shown, the last one last.
        running: number -> trial under way.
    """

    runtime: str
    goal: Goal
    total: int
    done: int
    begun: float
    done_here: int = 0
    best: tuple[float, int] | None = None
    rows: list[_Row] = field(default_factory=list)
    running: dict[int, _Row] = field(default_factory=dict)

    def take(self, done: FinishedTrial, row: _Row) -> None:
        """A trial has ended."""
        self.running.pop(done.number, None)
        self.rows = [*self.rows, row][-SHOWN:]
        self.done += 1
        self.done_here += 1
        # A pruned trial's value is one of an early epoch, and never the best.
        if done.state == "complete" and done.values:
            value = done.values[0]
            # The first of two equal ones stays the best.
            if self.best is None or self.goal.sign * (value - self.best[0]) < 0:
                self.best = value, done.number

    def is_best(self, row: _Row) -> bool:
        return self.best is not None and self.best[1] == row.number

    def time_left(self, now: float) -> str:
        """From the trials of this process: an earlier one may have had other processors."""
        # Before the first one has ended nobody knows how long one takes.
        if not self.done_here or self.done >= self.total:
            return ""
        each_s = (now - self.begun) / self.done_here
        return f" (about {numbers.duration(each_s * (self.total - self.done))} left)"


class TuneProgress(Watcher):
    """Shows a search on a console.

    Args:
        console: on standard error.
        quiet: say nothing.
        verbose: say every epoch where nothing can be redrawn.
        live: a terminal that can redraw.
        clock: monotonic seconds.
    """

    _search: _Search
    """The search that is shown, from ``search_started`` on."""

    def __init__(
        self,
        console: Console,
        *,
        quiet: bool = False,
        verbose: bool = False,
        live: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console = console
        self._quiet = quiet
        self._verbose = verbose
        self._clock = clock
        self._live: Live | None = None
        # What cannot redraw gets lines.
        if live and not quiet:
            self._live = Live(console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> TuneProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def search_started(self, runtime: str, goal: Goal, total: int, done: int) -> None:
        self._search = _Search(
            runtime=runtime, goal=goal, total=total, done=done, begun=self._clock()
        )
        so_far = f", {done} done before" if done else ""
        self.say(f"{runtime}: {total} trials{so_far}")
        self._draw()

    def trial_started(self, runtime: str, number: int, params: Mapping[str, Any]) -> None:
        text = params_text(params, brief=self._live is not None)
        self._search.running[number] = _Row(number=number, params=text)
        self._draw()

    def trial_epoch(
        self, runtime: str, number: int, epoch: int, epochs: int, value: float | None
    ) -> None:
        row = self._search.running[number]
        row.what = f"epoch {epoch}/{epochs}"
        row.value = "" if value is None else numbers.short(value)
        # A table shows every epoch anyway.
        if self._verbose and self._live is None:
            said = f", {self._search.goal.name} {row.value}" if row.value else ""
            self.say(f"{runtime}: trial {number} {row.what}{said}")
        self._draw()

    def trial_done(self, runtime: str, done: FinishedTrial) -> None:
        brief = self._live is not None
        row = _Row(
            number=done.number,
            what=_ending(done, brief=brief),
            value=", ".join(numbers.short(item) for item in done.values or ()),
            params=params_text(done.params, brief=brief),
            seconds=numbers.duration(done.seconds),
        )
        self._search.take(done, row)
        # A table has its row; a pipe has this line only.
        if self._live is None:
            self.say(f"{runtime}: {self._finished(row)}")
        self._draw()

    def _finished(self, row: _Row) -> str:
        """``trial 3 (4 of 20) complete val_loss 0.1, best so far, 1.2 s: lr=0.1 …``"""
        search = self._search
        figures = f" {search.goal.name} {row.value}" if row.value else ""
        mark = ""
        if search.is_best(row):
            mark = ", best so far"
        elif search.best is not None:
            mark = f", best {numbers.short(search.best[0])}"
        return (
            f"trial {row.number} ({search.done} of {search.total}) {row.what}{figures}{mark},"
            f" {row.seconds}: {row.params}{search.time_left(self._clock())}"
        )

    def confirmed(self, row: TuneConfirmed, place: int, total: int) -> None:
        value = numbers.short(row.values[0]) if row.values else row.reason or row.status
        self.say(
            f"confirmation {place} of {total}: trial {row.trial} on {row.runtime} with seed"
            f" {row.seed}: {value}"
        )

    def say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(Text(printable(text).replace("\n", " ")), soft_wrap=True)

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._picture())

    def _picture(self) -> RenderableType:
        """The table, as wide as the terminal."""
        table = self._table(with_parameters=False)
        # Only the parameters are cut or left out where a terminal is narrow, and never a number.
        if self._console.width - self._console.measure(table).maximum >= _LEAST:
            table = self._table(with_parameters=True)
        return Group(Text(self._headline(), "bold"), table)

    def _table(self, *, with_parameters: bool) -> Table:
        """Finished trials, then those under way."""
        search = self._search
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        table.add_column(search.goal.name, justify="right", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        if with_parameters:
            # It gives way where the others must not wrap, so its cells are cut.
            table.add_column("parameters")
        for row in [*search.rows, *search.running.values()]:
            style, mark = ("bold", " *") if search.is_best(row) else ("", "  ")
            cells = [str(row.number), row.what, row.value + mark, row.seconds]
            if with_parameters:
                cells.append(row.params)
            texts = [Text(printable(cell), style) for cell in cells]
            for text in texts:
                text.no_wrap = True
                text.overflow = "ellipsis"
            table.add_row(*texts)
        return table

    def _headline(self) -> str:
        search = self._search
        best = ""
        if search.best is not None:
            value, number = search.best
            best = f", best {numbers.short(value)} in trial {number} *"
        so_far = f"{search.done} of {search.total} trials"
        return f"{search.runtime}: {so_far}{best}{search.time_left(self._clock())}"


def _ending(done: FinishedTrial, *, brief: bool) -> str:
    """How a trial ended, in a few words, or with the reason."""
    if done.state != "failed":
        return done.state
    # A table has no room for the reason, which the report gives.
    if brief:
        return f"failed: {done.status}"
    reason = f": {done.reason}" if done.reason else ""
    return f"failed ({done.status}{reason})"


def params_text(params: Mapping[str, Any], *, brief: bool = False) -> str:
    """``model.dropout=0.3  train.optimizer.lr=0.001234``.

    Args:
        brief: with no more of each path than tells it from the others:
            ``dropout=0.3  lr=0.001234``.
    """
    shown = []
    for path, value in params.items():
        name = _shortest_ending(path, params) if brief else path
        shown.append(f"{name}={_value(value)}")
    return "  ".join(shown)


def _shortest_ending(path: str, paths: Collection[str]) -> str:
    """The shortest ending of a path that begins with a word and that no other path has."""
    parts = path.split(".")
    for begin in range(len(parts) - 1, -1, -1):
        ending = ".".join(parts[begin:])
        # ``hidden.0`` and not ``0``, which says nothing.
        if ending[0].isdigit():
            continue
        sharers = [other for other in paths if f".{other}".endswith(f".{ending}")]
        if sharers == [path]:
            return ending
    return path


def _value(value: Any) -> str:
    """A parameter in a few letters; lists and mappings come as the JSON that Optuna stores."""
    # Four digits tell two proposals apart.
    if isinstance(value, float):
        return numbers.short(value)
    if isinstance(value, str) and value.startswith(("[", "{")):
        return value.replace('"', "")
    return str(value)
