"""The certificate: what ``nncompare verify`` prints with ``--json`` and stores as ``result.json``.

History of the format, newest first:

1. first version.
"""

from __future__ import annotations

from typing import Any, Literal

from nncompare.records.result import (
    SCHEMA_VERSION,
    Document,
    LedgerEntry,
    ParityCheck,
    ParityFinding,
    Status,
)


class VerifiedRuntime(Document):
    """One runtime."""

    runtime: str
    status: Status
    """``ok``: everything was observed; whether it agrees is told by the checks."""
    reason: str | None = None
    log: str | None = None
    versions: dict[str, str] = {}
    device: str | None = None
    settings: dict[str, str] = {}


class Change(Document):
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


class Limit(Document):
    """How far the trajectory could be compared, where that is less than usual."""

    steps: int
    """So many steps are compared between the runtimes."""
    reason: str


class Hashes(Document):
    weights: str
    """SHA-256 of the initial weights."""
    order: str
    """SHA-256 of the batch order."""


class VerifyResult(Document):
    """The document of ``nncompare verify``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["verify"] = "verify"
    id: str
    name: str
    created: str
    experiment: dict[str, Any]
    environment: dict[str, Any]
    status: Literal["certified", "failed", "not_comparable"]
    reason: str | None = None
    steps: int
    seconds: float
    runtimes: tuple[VerifiedRuntime, ...]
    checks: tuple[ParityCheck, ...] = ()
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
