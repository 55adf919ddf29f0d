"""Who is told what a run does, as it happens."""

from __future__ import annotations

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.wire.messages import WorkerWord


class Watcher:
    """Told of every worker under its runtime's name, and of what the parent does itself. This one
    says nothing; the progress display says it all.
    """

    def prepares(self, text: str) -> None:
        """A step of what comes before the first runtime or after the last, in one line."""

    def started(self, runtime: str) -> None:
        """A worker is about to start."""

    def message(self, runtime: str, message: WorkerWord) -> None:
        """A worker has said something."""

    def finished(self, runtime: str, row: TrainedRuntime) -> None:
        """A worker has ended, well or not; its row is the one of the result."""
