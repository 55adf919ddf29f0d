"""Who is told what a check does, as it happens."""

from __future__ import annotations

from typing import Protocol

from nncompare.launch.run_worker import Listener
from nncompare.wire.messages import WorkerWord
from nncompare.wire.outcome import Outcome


class Watcher(Listener, Protocol):
    """The progress display: told of every worker under ``runtime dtype``, and of what the parent
    does itself.
    """

    def prepares(self, text: str) -> None: ...

    def phase(self, text: str) -> None: ...

    def ended(self, label: str, outcome: Outcome) -> None: ...


class NullWatcher:
    """A watcher that says nothing."""

    def prepares(self, text: str) -> None:
        pass

    def phase(self, text: str) -> None:
        pass

    def message(self, runtime: str, message: WorkerWord) -> None:
        pass

    def ended(self, label: str, outcome: Outcome) -> None:
        pass
