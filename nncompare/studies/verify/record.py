"""The certificate: what ``nncompare verify`` prints with ``--json`` and stores as ``result.json``;
and its short form, the parity of a run.

History of the format, newest first:

1. first version.
"""

from __future__ import annotations

from typing import Literal

from nncompare.records.ledger import LedgerEntry
from nncompare.records.record import ExperimentRecord, RecordPart
from nncompare.records.runtime_row import RuntimeRow
from nncompare.studies.verify.checks.check import StoredCheck


class ParityFinding(RecordPart):
    """Where a runtime leaves the common function, and what it looks like."""

    runtime: str
    quantity: str
    layer: str | None
    step: int | None
    dtype: str
    worst: float | None
    gate: float
    looks_like: str | None
    """The one change of the reference that gives what was observed; null: none was found."""


class Parity(RecordPart):
    """Whether the runtimes of a run compute the same function."""

    status: Literal["certified", "failed", "not_run"] = "not_run"
    reason: str | None = None
    form: Literal["quick", "full"] | None = None
    """``quick``: forward pass, gradients and 10 steps in the run's own dtype; ``full``: all of
    ``verify``.
    """
    certificate: str | None = None
    """When a full certificate was given for the same experiment, code and versions (ISO 8601);
    null: none is known.
    """
    checks: tuple[StoredCheck, ...] = ()
    findings: tuple[ParityFinding, ...] = ()


class VerifiedRuntime(RuntimeRow):
    """One runtime. ``status`` is ``ok`` if everything was observed; whether it agrees is told by
    the checks.
    """

    device: str | None = None
    """As the framework or the system calls it."""
    settings: dict[str, str] = {}
    """What the backend set, for the ledger."""


class Change(RecordPart):
    """What the defaults of a framework change in one quantity, native against aligned, in the same
    framework.
    """

    runtime: str
    quantity: str
    layer: str | None
    at_start: float | None
    """Size in the first step."""
    at_end: float | None
    """Size after the last step; null where a quantity exists in the first step only."""
    unit: str
    looks_like: str | None = None


class Limit(RecordPart):
    """How far the trajectory could be compared, where that is less than usual."""

    steps: int
    """So many steps are compared between the runtimes."""
    reason: str


class Hashes(RecordPart):
    weights: str
    """SHA-256 of the initial weights."""
    order: str
    """SHA-256 of the batch order."""


class VerifyRecord(ExperimentRecord):
    """The document of ``nncompare verify``."""

    kind: Literal["verify"] = "verify"
    status: Literal["certified", "failed", "not_comparable"]
    reason: str | None = None
    steps: int
    seconds: float
    runtimes: tuple[VerifiedRuntime, ...]
    checks: tuple[StoredCheck, ...] = ()
    findings: tuple[ParityFinding, ...] = ()
    changes: tuple[Change, ...] = ()
    """Convention ``native`` only."""
    dead: tuple[str, ...] = ()
    """Parameters whose gradient is nothing but rounding; they are judged apart."""
    limit: Limit | None = None
    """Null: all steps are compared, with the usual gates."""
    hashes: Hashes
    ledger: tuple[LedgerEntry, ...] = ()

    @property
    def complete(self) -> bool:
        return all(row.status == "ok" for row in self.runtimes)
