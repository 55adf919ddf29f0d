"""Who is told what a check does, as it happens."""

from __future__ import annotations

from nncompare.wire.messages import WorkerWord
from nncompare.wire.outcome import Outcome


class Watcher:
    """Told of every worker under ``runtime dtype``, and of what the parent does itself. This one
    says nothing; the progress display says it all.
    """

    def prepares(self, text: str) -> None:
        """A step of what comes before the first worker, in one line."""

    def phase(self, text: str) -> None:
        """What the parent does."""

    def message(self, runtime: str, message: WorkerWord) -> None:
        """A worker has said something."""

    def ended(self, label: str, outcome: Outcome) -> None:
        """A worker has ended, well or not."""
