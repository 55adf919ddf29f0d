"""The result of a run, as it is stored in ``result.json`` and printed by ``--json``.

History of the format, newest first:

1. first version.
"""

from __future__ import annotations

from typing import Any, Literal

from nncompare.records.ledger import LedgerEntry
from nncompare.records.record import ExperimentRecord, RecordPart
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.studies.verify.record import Parity

STOPPED = "stopped by the user"
"""Why there is no parity if Ctrl-C came after the training."""


class Comparison(RecordPart):
    """``relative``: median step time over the fastest's, 1.00 = fastest; descriptive unless rounds
    decide.
    """

    rounds: int = 1
    relative: dict[str, float] = {}
    pairs: tuple[dict[str, Any], ...] = ()
    noise_floor: float | None = None


class RunRecord(ExperimentRecord):
    """The document of ``nncompare run``."""

    kind: Literal["run"] = "run"
    runtimes: tuple[TrainedRuntime, ...]
    parity: Parity = Parity()
    ledger: tuple[LedgerEntry, ...] = ()
    comparison: Comparison = Comparison()

    @property
    def finished(self) -> tuple[TrainedRuntime, ...]:
        """The rows of the runtimes that finished."""
        return tuple(row for row in self.runtimes if row.status == "ok")

    @property
    def absent(self) -> tuple[TrainedRuntime, ...]:
        """The rows of the others."""
        return tuple(row for row in self.runtimes if row.status != "ok")

    @property
    def complete(self) -> bool:
        """Every runtime finished."""
        return not self.absent

    @property
    def interrupted(self) -> bool:
        """The user stopped the training or the check of parity."""
        # a check that was stopped after the training leaves its rows as they are
        stopped = any(row.status == "interrupted" for row in self.runtimes)
        return stopped or self.parity.reason == STOPPED
