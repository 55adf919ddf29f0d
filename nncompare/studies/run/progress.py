"""The live display of a run: bars on a terminal, one plain line at a time on a pipe, nothing with
``quiet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show import numbers
from nncompare.studies.run.watcher import Watcher
from nncompare.terminal.progress import EVERY_S, Display
from nncompare.wire.figures import Epoch
from nncompare.wire.messages import (
    Built,
    CheckProgress,
    Conclusion,
    EpochEnd,
    Imported,
    Slices,
    WorkerWord,
)
from nncompare.wire.slice import Slice

_WIDE = 100
"""Columns from which loss and elapsed time have room beside the bar."""
_ALL = "all runtimes"
"""Label of the bar over the others."""
_NO_TEXT = ""
"""Beside that bar."""


class RunProgress(Display, Watcher):
    """Says which runtime runs, in which epoch, how fast, and how long it still takes. One
    runtime ends before the next one starts.

    Args:
        runtimes: in the order in which they run.
        epochs: of one runtime; early stopping may end it sooner.
        verbose: say every epoch.
        settings: ``quiet``, ``live`` and ``clock`` of ``Display``.
    """

    def __init__(
        self,
        console: Console,
        runtimes: Sequence[str],
        *,
        epochs: int,
        verbose: bool = False,
        **settings: Any,
    ):
        super().__init__(console, **settings)
        self._runtimes = list(runtimes)
        self._epochs = epochs
        self._verbose = verbose
        self._steps: int | None = None
        """Of the whole training, once the worker has said it."""
        self._rate: str | None = None
        self._trains = False
        """It has taken its first step."""
        self._waiting: str | None = None
        """The line about the last epoch, if it was too soon to say it."""

    def _columns(self, width: int) -> Sequence[ProgressColumn]:
        # the time that has passed is the first to go where a terminal is narrow
        wide = width >= _WIDE
        return (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20 if wide else 8),
            TextColumn("{task.fields[text]}", markup=False),
            *([TimeElapsedColumn()] if wide else []),
            _Left(compact=True),
        )

    def started(self, runtime: str) -> None:
        # nothing of an earlier training counts, of this runtime or another
        self._said.clear()
        self._rate = None
        self._trains = False
        self._waiting = None
        ended = self._runtimes.index(runtime)
        place = f"{ended + 1} of {len(self._runtimes)}"
        self._overall(f"runtime {place}", ended)
        # on a pipe every line is read alone
        if not self._bar(runtime, "starts"):
            self._line(f"{runtime} ({place}): starts")

    def message(self, runtime: str, message: WorkerWord) -> None:
        """Shows what a worker says."""
        match message:
            case Imported(import_s=import_s):
                took = "" if import_s is None else f" in {numbers.duration(import_s)}"
                self._say(runtime, f"imported{took}; builds the network")
            case Built(device=device, steps=steps, settings=settings):
                self._steps = steps
                # minutes, for some networks and compilers
                compiles = settings.get("compiled", "no") != "no"
                does = "compiles" if compiles else "first step"
                self._say(runtime, f"built on {device.kind}; {does}")
            case Slices(slices=slices):
                self._trained(runtime, slices)
            case EpochEnd(figures=figures):
                self._epoch(runtime, figures)
            case CheckProgress() | Conclusion():
                pass  # a run checks without a word, and ``finished`` tells of the end
            case _:
                assert_never(message)

    def finished(self, runtime: str, row: TrainedRuntime) -> None:
        # the last word before the end must not be lost, whenever training stops
        if self._waiting is not None:
            self._line(self._waiting)
        self._remove_bar(runtime)
        ended = self._runtimes.index(runtime) + 1
        # nothing is left to be far of
        if ended == len(self._runtimes):
            self._remove_bar(_ALL)
        text = row.reason
        # a runtime that failed says why, and not how long that took
        if row.status == "ok" and row.timing.total_s is not None:
            text = f"{numbers.duration(row.timing.total_s)} in all"
        self._line(f"{runtime}: {row.status}" + (f", {text}" if text else ""))

    def _say(self, runtime: str, text: str) -> None:
        """What happens before training."""
        if not self._bar(runtime, text):
            self._line(f"{runtime}: {text}")

    def _overall(self, head: str, ended: int) -> None:
        """How far all of them are together."""
        # of a single one its own bar says it
        if len(self._runtimes) > 1:
            self._bar(_ALL, _NO_TEXT, head=head, completed=ended, total=len(self._runtimes))

    def _trained(self, runtime: str, slices: Sequence[Slice]) -> None:
        """Moves the bar; a pipe is told of epochs only, and of a first step that took long."""
        if not self._trains:
            self._trains = True
            took = slices[0].seconds
            if self._live is None and slices[0].phase == "first" and took >= EVERY_S:
                self._line(f"{runtime}: first step took {numbers.duration(took)}; trains")
        self._rate = _rate(slices)
        last = slices[-1]
        parts = [f"epoch {last.epoch}/{self._epochs}"]
        if self._rate is not None:
            parts.append(self._rate)
        # a narrow terminal has room for the epoch and the speed
        if last.loss is not None and self._console.width >= _WIDE:
            parts.append(f"loss {numbers.short(last.loss)}")
        self._bar(runtime, "  ".join(parts), completed=last.end, total=self._steps)

    def _epoch(self, runtime: str, figures: Epoch) -> None:
        is_last = figures.epoch == self._epochs
        # after the last epoch the final metrics are computed, which takes its time
        if is_last:
            self._bar(runtime, "evaluates")
        # the bar shows the epoch already
        if self._live is not None and not self._verbose:
            return
        parts = [
            f"train loss {_figure(figures.train_loss)}",
            f"validation loss {_figure(figures.val_loss)}",
        ]
        # a regression has none
        if figures.val_accuracy is not None:
            parts.append(f"validation accuracy {100 * figures.val_accuracy:.2f} %")
        if self._rate is not None:
            parts.append(self._rate)
        text = f"{runtime}: epoch {figures.epoch}/{self._epochs}: {', '.join(parts)}"
        # a training of ten epochs a second would fill the log of a batch system
        if self._verbose or is_last or self._is_due(runtime):
            self._waiting = None
            self._line(text)
        else:
            self._waiting = text


class _Left(TimeRemainingColumn):
    """``00:07 left``; nothing while that is not known."""

    def render(self, task: Task) -> Text:
        # how long the others take is not known from the ones that have ended
        if task.time_remaining is None or task.fields["text"] == _NO_TEXT:
            return Text()
        return Text(f"{super().render(task).plain} left")


def _rate(slices: Sequence[Slice]) -> str | None:
    """Steps per second; None if the first step is among them, which mostly traces and compiles."""
    seconds = sum(sample.seconds for sample in slices)
    # a clock that is coarser than a step gives no rate
    if seconds <= 0 or slices[0].phase == "first":
        return None
    steps = slices[-1].end - slices[0].begin
    return f"{numbers.short(steps / seconds)} steps/s"


def _figure(value: float | None) -> str:
    return "n/a" if value is None else numbers.short(value)
