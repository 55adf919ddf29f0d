"""The live display of a parity check: one bar a worker on a terminal, plain lines on a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn

from nncompare.studies.verify.watcher import Watcher
from nncompare.terminal.progress import Display
from nncompare.wire.messages import (
    Built,
    CheckProgress,
    Conclusion,
    EpochEnd,
    Imported,
    Slices,
    WorkerWord,
)
from nncompare.wire.outcome import Outcome

_PARENT = "parent"
"""Label of the bar for what the parent does."""


class VerifyProgress(Display, Watcher):
    """Says what every worker does and how far it is. Called from several threads."""

    def _columns(self, width: int) -> Sequence[ProgressColumn]:
        return (
            TextColumn("{task.description:<20}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
        )

    def phase(self, text: str) -> None:
        """What the parent does."""
        self._say(_PARENT, text, text, 0.0)

    def message(self, runtime: str, message: WorkerWord) -> None:
        """What a worker says; ``runtime`` is its label, ``torch float64``."""
        match message:
            case Imported():
                self._say(runtime, "builds the network", "builds the network", 0.0)
            case CheckProgress(what=what, done=done, of=of):
                # of the trajectory alone the steps are told, and a pipe hears of a few of them
                text = f"{what}, step {done} of {of}" if what == "trajectory" else what
                self._say(runtime, what, text, done / of)
            case Built() | Slices() | EpochEnd():
                pass  # the first is followed by what says more, and a check trains no run
            case Conclusion():
                pass  # ``ended`` tells of it
            case _:
                assert_never(message)

    def ended(self, label: str, outcome: Outcome) -> None:
        reason = f": {outcome.reason}" if outcome.reason else ""
        self._remove_bar(label)
        self._line(f"{label}: {'observed' if outcome.status == 'ok' else outcome.status}{reason}")

    def _say(self, label: str, topic: str, text: str, share: float) -> None:
        if self._bar(label, text, completed=share, total=1.0):
            return
        if self._is_due(f"{label} {topic}"):
            self._line(text if label == _PARENT else f"{label}: {text}")
