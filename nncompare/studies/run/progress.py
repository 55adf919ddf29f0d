"""The live display of a run: bars on a terminal, one plain line at a time on a pipe, nothing with
``quiet``.

``RunProgress`` also is what ``studies.run`` calls a watcher: ``started``, ``message`` and
``finished`` translate what a worker says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import assert_never

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show import numbers
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
from nncompare.wire.slice import Slice

EVERY_S = 2.0
"""Shortest time between two lines about epochs on a pipe."""
_WIDE = 100
"""Columns from which loss and elapsed time have room beside the bar."""


@dataclass
class _State:
    """One runtime. ``waiting``: the line about its last epoch, if it was too soon to say it."""

    task: TaskID | None = None
    rate: str | None = None
    said: float | None = None
    waiting: str | None = None


class RunProgress:
    """Says which runtime runs, in which epoch, how fast, and how long it still takes.

    Args:
        console: on standard error.
        runtimes: in the order in which they run.
        total_steps: of one runtime; None until a worker says it.
        epochs: of one runtime, if known.
        quiet: say nothing.
        verbose: say every epoch.
        live: draw bars; default: on a terminal.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        console: Console,
        runtimes: Sequence[str],
        total_steps: int | None = None,
        quiet: bool = False,
        *,
        epochs: int | None = None,
        verbose: bool = False,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console = console
        self._runtimes = tuple(runtimes)
        self._total = total_steps
        self._epochs = epochs
        self._quiet = quiet
        self._verbose = verbose
        self._clock = clock
        wanted = console.is_terminal if live is None else live
        self._live = _bars(console, clock) if wanted and not quiet else None
        self._states: dict[str, _State] = {}

    def __enter__(self) -> RunProgress:
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

    def runtime_started(self, runtime: str) -> None:
        state = self._states[runtime] = _State()
        if self._live is not None:
            width = max(len(name) for name in (*self._runtimes, runtime))
            head = f"{runtime.ljust(width)} {self._place(runtime)}".rstrip()
            state.task = self._live.add_task(head, total=None, text="starts")
        else:
            self._line(f"{runtime} {self._place(runtime)}".rstrip() + ": starts")

    def phase(self, runtime: str, text: str) -> None:
        """What happens before training: "builds the network"."""
        if self._live is not None:
            self._show(runtime, text)
        else:
            self._line(f"{runtime}: {text}")

    def steps(
        self,
        runtime: str,
        done: int,
        epoch: int | None,
        loss: float | None,
        steps_per_s: float | None,
    ) -> None:
        """Training has come to step ``done`` (from 1) of ``epoch`` (from 1). A pipe is told of
        epochs only.
        """
        state = self._state(runtime)
        state.rate = None if steps_per_s is None else f"{numbers.short(steps_per_s)} steps/s"
        if self._live is None or state.task is None:
            return
        parts = []
        if epoch is not None:
            parts.append(f"epoch {epoch}" + (f"/{self._epochs}" if self._epochs else ""))
        if state.rate is not None:
            parts.append(state.rate)
        if loss is not None and self._console.width >= _WIDE:
            parts.append(f"loss {numbers.short(loss)}")
        self._live.update(state.task, completed=done, total=self._total)
        self._show(runtime, "  ".join(parts))

    def epoch(
        self,
        runtime: str,
        epoch: int,
        epochs: int | None,
        train_loss: float | None,
        val_loss: float | None,
        val_accuracy: float | None,
    ) -> None:
        """An epoch (from 1) has ended."""
        if self._live is not None and epoch == epochs:
            self._show(runtime, "evaluates")
        if self._live is not None and not self._verbose:
            return
        figures = [f"train loss {_figure(train_loss)}", f"validation loss {_figure(val_loss)}"]
        if val_accuracy is not None:
            figures.append(f"validation accuracy {100 * val_accuracy:.2f} %")
        state = self._state(runtime)
        if state.rate:
            figures.append(state.rate)
        text = f"{runtime}: epoch {epoch}{f'/{epochs}' if epochs else ''}: {', '.join(figures)}"
        now = self._clock()
        if self._verbose or state.said is None or now - state.said >= EVERY_S or epoch == epochs:
            state.said, state.waiting = now, None
            self._line(text)
        else:
            # the last word before the end must not be lost, whenever training stops
            state.waiting = text

    def runtime_finished(self, runtime: str, status: str, text: str = "") -> None:
        """Training has ended, well or not."""
        state = self._state(runtime)
        if state.waiting is not None:
            self._line(state.waiting)
        if self._live is not None and state.task is not None:
            self._live.remove_task(state.task)
        self._line(f"{runtime}: {status}" + (f", {text}" if text else ""))
        del self._states[runtime]

    def prepares(self, text: str) -> None:
        self._line(text)

    def started(self, runtime: str) -> None:
        self.runtime_started(runtime)

    def message(self, runtime: str, message: WorkerWord) -> None:
        """Shows what a worker says."""
        match message:
            case Imported(import_s=import_s):
                took = "" if import_s is None else f" in {numbers.duration(import_s)}"
                self.phase(runtime, f"imported{took}; builds the network")
            case Built(device=device, steps=steps):
                self._total = steps or self._total
                self.phase(runtime, f"built on {device.kind}; trains")
            case Slices(slices=slices):
                last = slices[-1]
                self.steps(runtime, last.end, last.epoch, last.loss, _rate(slices))
            case EpochEnd(figures=row):
                self.epoch(
                    runtime,
                    row.epoch,
                    self._epochs,
                    row.train_loss,
                    row.val_loss,
                    row.val_accuracy,
                )
            case Result() | ParityChecked() | End():
                pass  # ``finished`` tells of the end
            case CheckProgress() | Derived() | Probed() | TrialEnd() | Proposed():
                pass  # no training of a run says these
            case _:
                assert_never(message)

    def finished(self, runtime: str, row: TrainedRuntime) -> None:
        text = row.reason or ""
        if row.status == "ok" and row.timing.total_s is not None:
            text = f"{numbers.duration(row.timing.total_s)} in all"
        self.runtime_finished(runtime, row.status, text)

    def _place(self, runtime: str) -> str:
        if runtime not in self._runtimes:
            return ""
        return f"({self._runtimes.index(runtime) + 1} of {len(self._runtimes)})"

    def _state(self, runtime: str) -> _State:
        return self._states.setdefault(runtime, _State())

    def _show(self, runtime: str, text: str) -> None:
        task = self._state(runtime).task
        if self._live is not None and task is not None:
            self._live.update(task, text=text)

    def _line(self, text: str) -> None:
        """One line; on a pipe it is one whatever its length."""
        if not self._quiet:
            self._console.print(Text(printable(text).replace("\n", " ")), soft_wrap=True)


class _Left(ProgressColumn):
    """``00:07 left``; nothing while that is not known."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if task.total is None or task.time_remaining is None:
            return Text()
        minutes, seconds = divmod(int(task.time_remaining), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{f'{hours}:' if hours else ''}{minutes:02d}:{seconds:02d} left")


def _bars(console: Console, clock: Callable[[], float]) -> Progress:
    """Gone when the run has ended: what stays is one line a runtime."""
    wide = console.width >= _WIDE
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20 if wide else 8),
        TextColumn("{task.fields[text]}", markup=False),
        *([TimeElapsedColumn()] if wide else []),
        _Left(),
        console=console,
        get_time=clock,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _rate(slices: Sequence[Slice]) -> float | None:
    """Steps per second of some slices; None if they hold the first step, which mostly traces and
    compiles.
    """
    seconds = sum(sample.seconds for sample in slices)
    if seconds <= 0 or any(sample.phase == "first" for sample in slices):
        return None
    return sum(sample.steps for sample in slices) / seconds


def _figure(value: float | None) -> str:
    return "n/a" if value is None else numbers.short(value)
