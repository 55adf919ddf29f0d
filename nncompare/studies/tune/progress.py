"""The live display of a search: a table of trials with the best so far; on a pipe one plain line a
trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.words import printable
from nncompare.studies.tune.record import TuneConfirmed, TuneGoal
from nncompare.studies.tune.trial import FinishedTrial

_GAP = 3
"""Letters between two columns."""
_LEAST = 12
"""Letters of the parameters that are worth a column."""
_PARAMETERS = 4
"""The last column, which is cut or left out where a terminal is narrow."""
_JUSTIFY: tuple[Literal["left", "right"], ...] = ("right", "left", "right", "right", "left")
SHOWN = 12
"""Finished trials that the live table keeps."""


@dataclass
class _Row:
    """One trial in the live table, in words.

    Args:
        what: how it goes or how it ended.
        value: of the goals.
        best: of all so far.
    """

    number: int
    what: str
    value: str
    params: str
    seconds: str = ""
    best: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of ``_HEADS``; the best one is marked by more than its colour."""
        mark = " *" if self.best else "  "
        return str(self.number), self.what, self.value + mark, self.seconds, self.params


class TuneProgress:
    """Fulfils the watcher of ``studies.tune``.

    Args:
        console: on standard error.
        goals: of the search; the first one decides what is best.
        quiet: say nothing.
        verbose: say every epoch where nothing can be redrawn.
        live: a terminal that can redraw.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        console: Console,
        goals: Sequence[TuneGoal],
        *,
        quiet: bool = False,
        verbose: bool = False,
        live: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console = console
        self._goals = tuple(goals)
        self._quiet = quiet
        self._verbose = verbose
        self._clock = clock
        self._live: Live | None = None
        if live and not quiet:
            self._live = Live(console=console, transient=True, refresh_per_second=4)
        self._rows: list[_Row] = []
        """The finished trials that are shown, the last one last."""
        self._running: dict[int, _Row] = {}
        self._runtime = ""
        self._total = 0
        self._done = 0
        """Finished trials, those of an earlier process among them."""
        self._done_here = 0
        self._best: tuple[float, int] | None = None
        """The first goal's best value, and the trial that has it."""
        self._begun = 0.0

    def __enter__(self) -> TuneProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def search_started(self, runtime: str, total: int, done: int) -> None:
        """A new table begins."""
        self._runtime = runtime
        self._total = total
        self._done = done
        self._done_here = 0
        self._rows = []
        self._running = {}
        self._best = None
        self._begun = self._clock()
        so_far = f", {done} done before" if done else ""
        self._line(f"{runtime}: {total} trials{so_far}")
        self._draw()

    def trial_started(self, runtime: str, number: int, params: Mapping[str, Any]) -> None:
        """A row for a trial that begins to train."""
        text = params_text(params, brief=self._live is not None)
        self._running[number] = _Row(number=number, what="starts", value="", params=text)
        self._draw()

    def trial_epoch(
        self, runtime: str, number: int, epoch: int, epochs: int, value: float | None
    ) -> None:
        """How far a trial is; on a pipe a line of its own where every epoch is wanted."""
        row = self._running.get(number)
        if row is None:
            return
        row.what = f"epoch {epoch}/{epochs}"
        row.value = "" if value is None else numbers.short(value)
        if self._verbose and self._live is None:
            said = f", {self._goals[0].name} {row.value}" if row.value else ""
            self._line(f"{runtime}: trial {number} {row.what}{said}")
        self._draw()

    def trial_done(self, runtime: str, done: FinishedTrial) -> None:
        """A trial's last word; on a pipe its only line."""
        self._running.pop(done.number, None)
        self._done += 1
        self._done_here += 1
        brief = self._live is not None
        row = _Row(
            number=done.number,
            what=_ending(done, brief=brief),
            value=", ".join(numbers.short(item) for item in done.values or ()),
            params=params_text(done.params, brief=brief),
            seconds=numbers.duration(done.seconds),
            best=self._is_best(done),
        )
        self._rows = [*self._rows, row][-SHOWN:]
        if self._live is None:
            self._line(self._finished_line(runtime, row))
        self._draw()

    def _finished_line(self, runtime: str, row: _Row) -> str:
        """``torch: trial 3 (4 of 20) complete val_loss 0.1, best so far, 1.2 s: lr=0.1 …``"""
        figures = f" {self._goals[0].name} {row.value}" if row.value else ""
        mark = ""
        if row.best:
            mark = ", best so far"
        elif self._best is not None:
            mark = f", best {numbers.short(self._best[0])}"
        place = f"({self._done} of {self._total})"
        return (
            f"{runtime}: trial {row.number} {place} {row.what}{figures}{mark}, {row.seconds}:"
            f" {row.params}{self._time_left()}"
        )

    def confirmed(self, row: TuneConfirmed, place: int, total: int) -> None:
        """One line for each repetition of one of the best trials."""
        value = numbers.short(row.values[0]) if row.values else row.reason or row.status
        self._line(
            f"confirmation {place} of {total}: trial {row.trial} on {row.runtime} with seed"
            f" {row.seed}: {value}"
        )

    def say(self, text: str) -> None:
        """Something that a user should know."""
        self._line(text)

    def _is_best(self, done: FinishedTrial) -> bool:
        """Whether a trial is better than all before it; the mark of the best one goes to it."""
        if done.state != "complete" or not done.values:
            return False
        value = done.values[0]
        sign = -1 if self._goals[0].goal == "maximize" else 1
        if self._best is not None and sign * value >= sign * self._best[0]:
            return False
        self._best = (value, done.number)
        for row in self._rows:
            row.best = False
        return True

    def _time_left(self) -> str:
        """From the trials of this process: an earlier one may have had other processors."""
        if not self._done_here or self._done >= self._total:
            return ""
        each_s = (self._clock() - self._begun) / self._done_here
        return f" (about {numbers.duration(each_s * (self._total - self._done))} left)"

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._table())

    def _table(self) -> RenderableType:
        """Finished trials, then those under way, as wide as the terminal."""
        shown = [*self._rows, *self._running.values()]
        heads = ("trial", "", self._goals[0].name, "time", "parameters")
        lines = [heads, *(row.cells for row in shown)]
        widths = [max(len(line[column]) for line in lines) for column in range(_PARAMETERS)]
        # Only the parameters are cut where a terminal is narrow, and never a number.
        room = self._console.width - sum(widths) - _GAP * len(widths)
        columns = len(heads) if room >= _LEAST else _PARAMETERS
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
        for head, justify in list(zip(heads, _JUSTIFY, strict=True))[:columns]:
            table.add_column(Text(head), justify=justify, no_wrap=True)
        for row in shown:
            cells = list(row.cells)
            cells[_PARAMETERS] = _cut(row.params, room)
            style = "bold" if row.best else ""
            table.add_row(*(Text(printable(cell), style) for cell in cells[:columns]))
        return Group(Text(self._headline(), "bold"), table)

    def _headline(self) -> str:
        best = ""
        if self._best is not None:
            value, number = self._best
            best = f", best {numbers.short(value)} in trial {number} *"
        return f"{self._runtime}: {self._done} of {self._total} trials{best}{self._time_left()}"

    def _line(self, text: str) -> None:
        if not self._quiet:
            self._console.print(Text(printable(text).replace("\n", " ")), soft_wrap=True)


def _ending(done: FinishedTrial, *, brief: bool) -> str:
    """How a trial ended, in a few words, or with the reason."""
    if done.state != "failed":
        return done.state
    if brief:
        return f"failed: {done.status}"
    return f"failed ({done.status}: {done.reason})" if done.reason else f"failed ({done.status})"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def params_text(params: Mapping[str, Any], *, brief: bool = False) -> str:
    """``model.dropout=0.3  train.optimizer.lr=0.001234``.

    Args:
        brief: with no more of each path than tells it from the others:
            ``dropout=0.3  lr=0.001234``.
    """
    names = _endings(list(params)) if brief else dict(zip(params, params, strict=True))
    return "  ".join(f"{names[name]}={_value(value)}" for name, value in params.items())


def _endings(paths: Sequence[str]) -> dict[str, str]:
    """Path -> its shortest ending that begins with a word and that no other path has."""
    found = {}
    for path in paths:
        others = [other for other in paths if other != path]
        found[path] = _shortest_ending(path, others)
    return found


def _shortest_ending(path: str, others: Sequence[str]) -> str:
    parts = path.split(".")
    for begin in range(len(parts) - 1, -1, -1):
        ending = ".".join(parts[begin:])
        # ``hidden.0`` and not ``0``, which says nothing.
        if ending[0].isdigit():
            continue
        if not any(f".{other}".endswith(f".{ending}") for other in others):
            return ending
    return path


def _value(value: Any) -> str:
    """A parameter in a few letters; lists and mappings come as the JSON that Optuna stores."""
    if isinstance(value, float):
        return numbers.short(value)
    if isinstance(value, str) and value.startswith(("[", "{")):
        return value.replace('"', "")
    return str(value)
