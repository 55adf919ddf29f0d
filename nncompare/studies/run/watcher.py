"""Who is told what a run does, as it happens."""

from __future__ import annotations

from typing import Protocol

from nncompare.launch.run_worker import Listener
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.wire.messages import WorkerWord


class Watcher(Listener, Protocol):
    """The progress display: told of every worker under its runtime's name, and of what the parent
    does itself.
    """

    def prepares(self, text: str) -> None:
        """A step of what comes before the first runtime or after the last, in one line."""

    def started(self, runtime: str) -> None:
        """A worker is about to start."""

    def finished(self, runtime: str, row: TrainedRuntime) -> None:
        """A worker has ended, well or not; its row is the one of the result."""


class NullWatcher:
    """A watcher that says nothing."""

    def prepares(self, text: str) -> None:
        pass

    def started(self, runtime: str) -> None:
        pass

    def message(self, runtime: str, message: WorkerWord) -> None:
        pass

    def finished(self, runtime: str, row: TrainedRuntime) -> None:
        pass
