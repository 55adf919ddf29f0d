"""The live display of a search: a table of trials with the best so far; on a pipe one plain line a
trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.words import printable
from nncompare.studies.tune.record import TuneConfirmed, TuneGoal

_GAP = 3
"""Letters between two columns."""
_LEAST = 12
"""Letters of the parameters that are worth a column."""
SHOWN = 12
"""Finished trials that the live table keeps."""


class Ended(Protocol):
    """What is shown of a finished trial (``studies.tune.trial.FinishedTrial``)."""

    number: int
    state: str
    status: str
    reason: str | None
    values: list[float] | None
    params: dict[str, Any]
    seconds: float


@dataclass
class _Row:
    number: int
    what: str
    value: str
    params: str
    seconds: str = ""
    best: bool = False


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
        self._console, self._goals, self._quiet, self._clock = console, tuple(goals), quiet, clock
        self._verbose = verbose
        self._live = (
            Live(console=console, transient=True, refresh_per_second=4)
            if live and not quiet
            else None
        )
        self._rows: list[_Row] = []
        self._under: dict[int, _Row] = {}
        self._runtime, self._total, self._done, self._here = "", 0, 0, 0
        self._best: tuple[float, int] | None = None
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
        self._runtime, self._total, self._done, self._here = runtime, total, done, 0
        self._rows, self._under, self._best, self._begun = [], {}, None, self._clock()
        so_far = f", {done} done before" if done else ""
        self._line(f"{runtime}: {total} trials{so_far}")
        self._draw()

    def trial_started(self, runtime: str, number: int, params: Mapping[str, Any]) -> None:
        self._under[number] = _Row(
            number, "starts", "", params_text(params, brief=self._live is not None)
        )
        self._draw()

    def trial_epoch(
        self, runtime: str, number: int, epoch: int, epochs: int, value: float | None
    ) -> None:
        row = self._under.get(number)
        if row is not None:
            row.what = f"epoch {epoch}/{epochs}"
            row.value = "" if value is None else numbers.short(value)
            if self._verbose and self._live is None:
                said = f", {self._goals[0].name} {row.value}" if row.value else ""
                self._line(f"{runtime}: trial {number} {row.what}{said}")
            self._draw()

    def trial_done(self, runtime: str, done: Ended) -> None:
        self._under.pop(done.number, None)
        self._done, self._here = self._done + 1, self._here + 1
        value = "" if not done.values else ", ".join(numbers.short(item) for item in done.values)
        best = self._is_best(done)
        brief = self._live is not None
        row = _Row(
            done.number,
            _words(done, brief=brief),
            value,
            params_text(done.params, brief=brief),
            best=best,
        )
        row.seconds = numbers.duration(done.seconds)
        self._rows = [*self._rows, row][-SHOWN:]
        if self._live is None:
            figures = f" {self._goals[0].name} {value}" if value else ""
            mark = ", best so far" if best else ""
            mark = mark or ("" if self._best is None else f", best {numbers.short(self._best[0])}")
            head = (
                f"{runtime}: trial {done.number} ({self._done} of {self._total})"
                f" {row.what}{figures}{mark}"
            )
            self._line(f"{head}, {row.seconds}: {row.params}{self._left()}")
        self._draw()

    def confirmed(self, row: TuneConfirmed, place: int, total: int) -> None:
        value = numbers.short(row.values[0]) if row.values else row.reason or row.status
        self._line(
            f"confirmation {place} of {total}: trial {row.trial} on {row.runtime} with seed"
            f" {row.seed}: {value}"
        )

    def say(self, text: str) -> None:
        self._line(text)

    def _is_best(self, done: Ended) -> bool:
        if done.state != "complete" or not done.values:
            return False
        sign = -1 if self._goals[0].goal == "maximize" else 1
        if self._best is None or sign * done.values[0] < sign * self._best[0]:
            self._best = done.values[0], done.number
            for row in self._rows:
                row.best = False
            return True
        return False

    def _left(self) -> str:
        if not self._here or self._done >= self._total:
            return ""
        seconds = (self._clock() - self._begun) / self._here * (self._total - self._done)
        return f" (about {numbers.duration(seconds)} left)"

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._table())

    def _table(self) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
        heads = ("trial", "", self._goals[0].name, "time", "parameters")
        shown = [*self._rows, *self._under.values()]
        lines = [
            (
                str(row.number),
                row.what,
                f"{row.value}{' *' if row.best else '  '}",
                row.seconds,
                row.params,
            )
            for row in shown
        ]
        widths = [max(len(line[k]) for line in (heads, *lines)) for k in range(4)]
        # only the parameters are cut where a terminal is narrow, and never a number
        room = self._console.width - sum(widths) - _GAP * len(widths)
        columns = 5 if room >= _LEAST else 4
        for head, right in list(zip(heads, (True, False, True, True, False), strict=True))[
            :columns
        ]:
            table.add_column(Text(head), justify="right" if right else "left", no_wrap=True)
        for row, line in zip(shown, lines, strict=True):
            cells = (*line[:4], _cut(line[4], room))[:columns]
            table.add_row(*(Text(printable(cell), "bold" if row.best else "") for cell in cells))
        best = (
            ""
            if self._best is None
            else f", best {numbers.short(self._best[0])} in trial {self._best[1]} *"
        )
        head = f"{self._runtime}: {self._done} of {self._total} trials{best}{self._left()}"
        return Group(Text(head, "bold"), table)

    def _line(self, text: str) -> None:
        if not self._quiet:
            self._console.print(Text(printable(text).replace("\n", " ")), soft_wrap=True)


def _words(done: Ended, *, brief: bool) -> str:
    if done.state == "failed" and brief:
        return f"failed: {done.status}"
    if done.state == "failed":
        return (
            f"failed ({done.status}: {done.reason})" if done.reason else f"failed ({done.status})"
        )
    return done.state


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
        parts = path.split(".")
        endings = [".".join(parts[k:]) for k in range(len(parts) - 1, -1, -1)]
        others = [other for other in paths if other != path]
        found[path] = next(
            (
                end
                for end in endings
                if not end[0].isdigit() and not any(f".{o}".endswith(f".{end}") for o in others)
            ),
            path,
        )
    return found


def _value(value: Any) -> str:
    """Lists and mappings come as the JSON that Optuna stores."""
    if isinstance(value, float):
        return numbers.short(value)
    return (
        value.replace('"', "") if isinstance(value, str) and value[:1] in ("[", "{") else str(value)
    )
