"""The live display of a run: bars on a terminal, one plain line at a time on a pipe, nothing with ``quiet``.

``RunProgress`` also is what ``studies.run`` calls a watcher: ``started``, ``message`` and ``finished`` translate what
a worker says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from nncompare.report import numbers
from nncompare.store.result import RuntimeResult

EVERY_S = 2.0
"""Shortest time between two lines about epochs on a pipe."""


class RunProgress:
    """Says which runtime runs, in which epoch, how fast, and how long it still takes.

    Args:
        console: on standard error.
        runtimes: in the order in which they run.
        total_steps: of one runtime; None until a worker says it.
        epochs: of one runtime, if known.
        quiet: say nothing.
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
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console, self._runtimes, self._total, self._epochs = console, tuple(runtimes), total_steps, epochs
        self._quiet, self._clock = quiet, clock
        self._live = None if quiet or not console.is_terminal else _bars(console, clock)
        self._task: TaskID | None = None
        self._said: float | None = None
        self._waiting: str | None = None
        self._epoch_text, self._loss_text, self._rate_text = "", "", ""

    def __enter__(self) -> RunProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def runtime_started(self, runtime: str) -> None:
        self._said, self._waiting = None, None
        self._epoch_text = self._loss_text = self._rate_text = ""
        if self._live is not None:
            width = max(len(name) for name in (*self._runtimes, runtime))
            self._task = self._live.add_task(
                f"{runtime.ljust(width)} {self._place(runtime)}", total=None, text="starts"
            )
        else:
            self._line(f"{runtime} {self._place(runtime)}: starts")

    def phase(self, runtime: str, text: str) -> None:
        """What happens before training: "builds the network"."""
        if self._live is not None:
            self._show(text)
        else:
            self._line(f"{runtime}: {text}")

    def steps(self, runtime: str, done: int, epoch: int | None, loss: float | None, steps_per_s: float | None) -> None:
        """Training has come to step ``done`` (from 1) of ``epoch`` (from 1). A pipe is told of epochs only."""
        if epoch is not None:
            self._epoch_text = f"epoch {epoch}" + (f"/{self._epochs}" if self._epochs else "")
        self._loss_text = "" if loss is None else f"loss {numbers.short(loss)}"
        self._rate_text = "" if steps_per_s is None else f"{numbers.short(steps_per_s)} steps/s"
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=done, total=self._total)
            self._show("  ".join(part for part in (self._epoch_text, self._rate_text, self._loss_text) if part))

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
        if self._live is not None:
            return
        figures = [f"train loss {_figure(train_loss)}", f"validation loss {_figure(val_loss)}"]
        if val_accuracy is not None:
            figures.append(f"validation accuracy {100 * val_accuracy:.2f} %")
        if self._rate_text:
            figures.append(self._rate_text)
        text = f"{runtime}: epoch {epoch}{f'/{epochs}' if epochs else ''}: {', '.join(figures)}"
        now = self._clock()
        if self._said is None or now - self._said >= EVERY_S or epoch == epochs:
            self._said, self._waiting = now, None
            self._line(text)
        else:
            self._waiting = text  # the last word before the end must not be lost, whenever training stops

    def runtime_finished(self, runtime: str, status: str, text: str = "") -> None:
        """Training has ended, well or not."""
        if self._waiting is not None:
            self._line(self._waiting)
            self._waiting = None
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)
            self._task = None
        self._line(f"{runtime}: {status}" + (f", {text}" if text else ""))

    def started(self, runtime: str) -> None:
        self.runtime_started(runtime)

    def message(self, runtime: str, message: Mapping[str, Any]) -> None:
        """Translates the words of a worker (``worker.wire``)."""
        kind = message["kind"]
        if kind == "imported":
            self.phase(runtime, f"imported in {numbers.duration(message['import_s'])}; builds the network")
        elif kind == "built":
            self._total = message.get("steps") or self._total
            self.phase(runtime, f"built on {message.get('device') or 'an unknown device'}; trains")
        elif kind == "slices" and message["rows"]:
            epoch, _, _, _, loss, _ = message["rows"][-1]
            self.steps(runtime, message["step"], epoch + 1, loss, message.get("steps_per_s"))
        elif kind == "epoch":
            figures = (message.get(name) for name in ("train_loss", "val_loss", "val_accuracy"))
            self.epoch(runtime, message["epoch"], self._epochs, *figures)

    def finished(self, runtime: str, row: RuntimeResult) -> None:
        if row.status == "ok":
            text = "" if row.timing.total_s is None else f"{numbers.duration(row.timing.total_s)} in all"
        else:
            text = row.reason or ""
        self.runtime_finished(runtime, row.status, text)

    def _place(self, runtime: str) -> str:
        if runtime not in self._runtimes:
            return ""
        return f"({self._runtimes.index(runtime) + 1} of {len(self._runtimes)})"

    def _show(self, text: str) -> None:
        if self._live is not None and self._task is not None:
            self._live.update(self._task, text=text)

    def _line(self, text: str) -> None:
        """One line; on a pipe it is one whatever its length."""
        if not self._quiet:
            self._console.print(Text(text), soft_wrap=True)


def _bars(console: Console, clock: Callable[[], float]) -> Progress:
    """Gone when the run has ended: what stays is one line a runtime."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        console=console,
        get_time=clock,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _figure(value: float | None) -> str:
    return "n/a" if value is None else numbers.short(value)
