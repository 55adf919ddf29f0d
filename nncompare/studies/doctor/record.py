"""What ``nncompare doctor`` found, as ``--json`` prints it.

History of the format, newest first:

1. first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nncompare.backends.base import Device
from nncompare.records.record import Record, RecordPart


class System(RecordPart):
    """The machine, as this process sees it."""

    os: str
    cpu: str
    logical_cores: int | None
    usable_threads: int
    """Processors that a worker may use (affinity and quota)."""
    cpu_quota: float | None = None
    """Processors that the control group grants; null: no limit."""
    memory_bytes: int | None = None
    available_bytes: int | None = None
    """Memory that is free for new processes."""
    python: str
    nncompare: str


class Framework(RecordPart):
    """One framework and the runtimes it serves."""

    runtimes: tuple[str, ...]
    versions: dict[str, str] = {}
    devices: tuple[Device, ...] = ()
    problem: str | None = None
    """Why it cannot be used; null if it can."""
    fix: str | None = None
    """The command or the action that mends it."""
    log: str | None = None
    """What it printed when it failed."""


class CachedData(RecordPart):
    """One data set of the cache."""

    name: str
    state: str
    """``ready``, or what is missing."""
    fix: str | None = None
    """The command that gets it."""


class DataCache(RecordPart):
    """Where downloads are kept, and what is there."""

    path: str
    contents: tuple[CachedData, ...] = ()
    problem: str | None = None
    """Of the folder itself."""
    fix: str | None = None


class DoctorRecord(Record):
    """The document of ``nncompare doctor``: everything that it looked at."""

    kind: Literal["doctor"] = "doctor"
    system: System
    frameworks: tuple[Framework, ...]
    data: DataCache
    usable: tuple[str, ...] = ()
    """Runtimes that can be run."""

    @property
    def complete(self) -> bool:
        """Every framework can be used."""
        return all(framework.problem is None for framework in self.frameworks)


def usable_runtimes(frameworks: Sequence[Framework]) -> tuple[str, ...]:
    """The runtimes of every framework without a problem."""
    good = [framework for framework in frameworks if framework.problem is None]
    return tuple(runtime for framework in good for runtime in framework.runtimes)
