"""One training in one runtime: its history, final metrics, times and memory.

Raw slices stand in ``slices.csv``; what is here is derived from them.
"""

from __future__ import annotations

from nncompare.records.record import RecordPart
from nncompare.records.runtime_row import RuntimeRow
from nncompare.stats.summary import StepTime
from nncompare.wire.figures import Epoch, Final, Memory


class Timing(RecordPart):
    """Seconds. ``import_s``: framework import; ``build_s``: lowering and staging; ``first_step_s``:
    first step with tracing and compilation; ``train_s``: all steps; ``evaluate_s``: validation
    after each epoch; ``total_s``: from the worker's start to its result.
    """

    import_s: float | None = None
    build_s: float | None = None
    first_step_s: float | None = None
    step_s: StepTime | None = None
    samples_per_s: float | None = None
    train_s: float | None = None
    evaluate_s: float | None = None
    total_s: float | None = None


class Work(RecordPart):
    flops_per_step: int | None = None
    """Estimated: three forward passes of a full batch."""
    gflops_per_s: float | None = None
    peak_fraction: float | None = None


class TrainedRuntime(RuntimeRow):
    """The row of a runtime that was trained, or that should have been."""

    device: str | None = None
    """``cpu``, ``gpu`` or ``tpu``."""
    device_name: str | None = None
    """As the framework or the system calls it."""
    threads: int | None = None
    parameters: int | None = None
    """Trained numbers of the model."""
    history: tuple[Epoch, ...] = ()
    final: Final = Final()
    timing: Timing = Timing()
    memory: Memory = Memory()
    work: Work = Work()
    settings: dict[str, str] = {}
    """What the backend set, for the ledger."""


__all__ = ["Epoch", "Final", "Memory", "StepTime", "Timing", "TrainedRuntime", "Work"]
