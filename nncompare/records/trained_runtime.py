"""One training in one runtime: its history, final metrics, times and memory.

Raw slices stand in ``slices.csv``; what is here is derived from them.
"""

from __future__ import annotations

from nncompare.records.record import RecordPart
from nncompare.records.runtime_row import RuntimeRow


class Epoch(RecordPart):
    """One epoch of one runtime. Metrics of the validation part, from ``predict``, computed in
    NumPy.
    """

    epoch: int
    train_loss: float | None = None
    """Mean over the epoch's examples of the minimized loss, penalties included, before each step.
    """
    val_loss: float | None = None
    val_accuracy: float | None = None
    learning_rate: float | None = None
    """Of the epoch's last step."""
    seconds: float | None = None
    """Training time of this epoch, evaluation excluded."""


class Final(RecordPart):
    """Metrics with the final (or restored best) weights in inference mode. Accuracy is null for
    regression; mean absolute error and R² are null for the other tasks.
    """

    train_loss: float | None = None
    train_accuracy: float | None = None
    train_mae: float | None = None
    train_r2: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    val_mae: float | None = None
    val_r2: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    test_mae: float | None = None
    test_r2: float | None = None
    best_epoch: int | None = None
    """With early stopping: the epoch whose weights were restored."""


class StepTime(RecordPart):
    """Seconds per training step over the slices after warm-up; a slice gives one value, its mean
    step.
    """

    median: float
    p05: float
    p95: float
    n: int
    """Number of slices."""


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


class Memory(RecordPart):
    peak_bytes: int | None = None
    source: str | None = None
    """``process`` (largest resident set) or ``device`` (the framework's own count)."""


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
