"""What ``nncompare compare-conventions`` prints with ``--json`` and stores as ``result.json``.

History of the format, newest first:

1. first version.
"""

from __future__ import annotations

from typing import Any, Literal

from nncompare.records.ledger import LedgerEntry
from nncompare.records.record import ExperimentRecord, RecordPart
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.studies.run.record import STOPPED
from nncompare.studies.verify.record import Parity


class Difference(RecordPart):
    """Native minus aligned of one runtime; null where either is unknown."""

    train_loss: float | None = None
    val_loss: float | None = None
    test_loss: float | None = None
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None


QUANTITIES = tuple(Difference.model_fields)
"""What is compared: metrics with the final weights. A regression has no accuracies."""


class ConventionRow(RecordPart):
    """One runtime in both conventions."""

    runtime: str
    aligned: TrainedRuntime
    native: TrainedRuntime
    difference: Difference


class Spread(RecordPart):
    """Largest minus smallest of one quantity over the runtimes that finished; null with fewer than
    two.
    """

    aligned: float | None = None
    native: float | None = None


class ConventionsRecord(ExperimentRecord):
    """The document of ``nncompare compare-conventions``."""

    kind: Literal["conventions"] = "conventions"
    experiment: dict[str, Any]
    """The experiment in the native convention; what its file leaves open is not in it."""
    runtimes: tuple[ConventionRow, ...]
    spread: dict[str, Spread]
    """Quantity (``test_loss``) -> how far the runtimes lie apart in each convention."""
    parity: Parity
    """Of the aligned run."""
    ledger: tuple[LedgerEntry, ...] = ()
    """Settings that differ between the runtimes of the native run."""
    runs: dict[str, str | None]
    """Convention -> the id of its run, a result folder beside this one; null: not stored."""

    @property
    def complete(self) -> bool:
        """Every runtime finished in both conventions."""
        return all(row.aligned.status == row.native.status == "ok" for row in self.runtimes)

    @property
    def interrupted(self) -> bool:
        """The user stopped one of the two runs."""
        rows = [row for pair in self.runtimes for row in (pair.aligned, pair.native)]
        stopped = any(row.status == "interrupted" for row in rows)
        return stopped or self.parity.reason == STOPPED
