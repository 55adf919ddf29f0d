"""What the row of a runtime says in every study: who it is and how its worker ended."""

from __future__ import annotations

from nncompare.errors import Status
from nncompare.records.record import RecordPart


class RuntimeRow(RecordPart):
    """One runtime in a record. Each study adds its own figures in a subclass."""

    runtime: str
    status: Status
    reason: str | None = None
    """Why it did not finish."""
    log: str | None = None
    """Tail of the worker's log if it did not finish."""
    versions: dict[str, str] = {}
    """Package -> version."""
