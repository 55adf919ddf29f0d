"""What a run would do, as ``run --dry-run --json`` prints it."""

from __future__ import annotations

from typing import Any, Literal

from nncompare.records.record import Record, RecordPart


class PlannedRuntime(RecordPart):
    """One row."""

    runtime: str
    title: str
    missing: str | None
    """Why it cannot be started, with the command that installs it; null if it can."""
    device: str
    """As asked for; which device ``auto`` finds is known when the framework is loaded."""
    threads: int


class PlanRecord(Record):
    """The document of ``nncompare run --dry-run``."""

    kind: Literal["plan"] = "plan"
    name: str
    experiment: dict[str, Any]
    """The resolved experiment, a valid file."""
    runtimes: tuple[PlannedRuntime, ...]
    parameters: int
    """Trained numbers of the model."""
    flops_per_step: int
    """Estimated, of a full batch, forward and backward."""
    examples: dict[str, int] | None
    """Part -> number; null if the data would have to be downloaded first."""
    steps_per_epoch: int | None
    """Null as ``examples``."""
    notes: tuple[str, ...]
    """Where the data come from."""
    output: str | None
    """Where the result folder would be made."""

    @property
    def complete(self) -> bool:
        """Every runtime can be started."""
        return all(row.missing is None for row in self.runtimes)
