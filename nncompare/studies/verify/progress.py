"""The live display of a parity check: one bar a worker on a terminal, plain lines on a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import assert_never

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from nncompare.show.words import printable
from nncompare.wire.messages import (
    Built,
    CheckProgress,
    Derived,
    End,
    EpochEnd,
    Imported,
    ParityChecked,
    Probed,
    Proposed,
    Result,
    Slices,
    TrialEnd,
    WorkerWord,
)
from nncompare.wire.outcome import Outcome

EVERY_S = 2.0
"""Shortest time between two lines about one worker on a pipe."""


class VerifyProgress:
    """Says what every worker does and how far it is. Fulfils ``studies.verify.Watcher``; called
    from several threads.

    Args:
        console: on standard error.
        quiet: say nothing.
        live: draw bars.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        quiet: bool = False,
        live: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console, self._quiet, self._clock = console, quiet, clock
        self._live = _bars(console) if live and not quiet else None
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, tuple[float, str]] = {}
        self._lock = Lock()

    def __enter__(self) -> VerifyProgress:
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

    def prepares(self, text: str) -> None:
        self._line(text)

    def phase(self, text: str) -> None:
        """What the parent does."""
        self._say("parent", text, None)

    def message(self, runtime: str, message: WorkerWord) -> None:
        """What a worker says; ``runtime`` is its label, ``torch float64``."""
        match message:
            case Imported():
                self._say(runtime, "builds the network", None)
            case CheckProgress(what=what, done=done, of=of):
                text = f"{what}, step {done} of {of}" if what == "trajectory" else what
                self._say(runtime, text, done / of)
            case Built() | End():
                pass  # the next line, or ``ended``, says more
            case Slices() | EpochEnd() | Result() | ParityChecked():
                pass  # a check trains no run
            case Derived() | Probed() | TrialEnd() | Proposed():
                pass  # no check says these
            case _:
                assert_never(message)

    def ended(self, label: str, outcome: Outcome) -> None:
        reason = f": {printable(outcome.reason)}" if outcome.reason else ""
        with self._lock:
            if self._live is not None and label in self._tasks:
                self._live.remove_task(self._tasks.pop(label))
        self._line(f"{label}: {'observed' if outcome.status == 'ok' else outcome.status}{reason}")

    def _say(self, label: str, text: str, share: float | None) -> None:
        with self._lock:
            if self._live is not None:
                if label not in self._tasks:
                    self._tasks[label] = self._live.add_task(label, total=1.0, text=text)
                self._live.update(self._tasks[label], text=text, completed=share or 0.0)
                return
            now, what = self._clock(), text.partition(",")[0]
            last, said = self._said.get(label, (-EVERY_S, ""))
            if what == said and now - last < EVERY_S:
                return
            self._said[label] = now, what
        self._line(f"{label}: {text}" if label != "parent" else text)

    def _line(self, text: str) -> None:
        if not self._quiet:
            self._console.print(Text(text.replace("\n", " ")), soft_wrap=True)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<20}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
