"""What a worker said, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from nncompare.errors import MessageError
from nncompare.wire.figures import Epoch
from nncompare.wire.messages import (
    Built,
    CheckProgress,
    Derived,
    End,
    EpochEnd,
    Imported,
    Method,
    ParityChecked,
    Probed,
    Proposed,
    Result,
    Slices,
    TrialEnd,
    TrialStatus,
    WorkerWord,
)
from nncompare.wire.slice import Slice


@dataclass(kw_only=True)
class Outcome:
    """What one worker said, and how it ended; what it has not said is None or empty.

    Args:
        runtime: a name of the catalog.
        status: ``ok``, the word of a ``RuntimeFailure``, or ``pruned`` of a trial.
        reason: why it is not ``ok``.
        log: the tail of the worker's log, where that may tell more than the reason.
        imported: ``versions``, ``import_s`` and, for a formula, ``notes``.
        built: ``device``, ``device_name``, ``settings``, ``build_s``, ``parameters``, ``steps``.
        history: one row an epoch.
        slices: every slice of the training, in order.
        result: ``final``, ``memory``, ``evaluate_s``, ``total_s``.
        parity: ``error`` of the short parity check after a training; None if it was good.
        derivatives: method -> what it gave for a formula.
        probed: ``devices``.
    """

    runtime: str
    status: TrialStatus = "failed"
    reason: str | None = None
    log: str | None = None
    imported: Imported | None = None
    built: Built | None = None
    history: list[Epoch] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    result: Result | None = None
    parity: ParityChecked | None = None
    derivatives: dict[Method, Derived] = field(default_factory=dict)
    probed: Probed | None = None

    @property
    def versions(self) -> dict[str, str]:
        """Package -> version; empty before the framework was imported."""
        return self.imported.versions if self.imported is not None else {}

    @property
    def settings(self) -> dict[str, str]:
        """What the ledger compares; empty before the network was built."""
        return self.built.settings if self.built is not None else {}

    def take(self, message: WorkerWord) -> None:
        """Keeps what a message says.

        Raises:
            MessageError: a word of a process that proposes trials and does not train.
        """
        match message:
            case Imported():
                self.imported = message
            case Built():
                self.built = message
            case EpochEnd(figures=figures):
                self.history.append(figures)
            case Slices(slices=slices):
                self.slices.extend(slices)
            case Result():
                self.result = message
            case ParityChecked():
                self.parity = message
            case Derived(method=method):
                self.derivatives[method] = message
            case Probed():
                self.probed = message
            case CheckProgress():
                pass  # for who watches; nothing of it is kept
            # a trial ends as a worker does, and may be pruned besides
            case End(status=status, reason=reason) | TrialEnd(status=status, reason=reason):
                self.status = status
                self.reason = reason
            # its process has a reader of its own
            case Proposed():
                raise MessageError(f"a worker that trains does not say {message.kind!r}")
            case _:
                assert_never(message)
