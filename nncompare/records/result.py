"""The result of a run, as it is stored in ``result.json`` and printed by ``--json``.

History of the format, newest first:

1. first version.

Unknown figures are ``null``, never NaN. Raw slices stand in ``slices.csv``; what is here is derived
from them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION: Literal[1] = 1

Status = Literal["ok", "refused", "failed", "out of memory", "timed out", "diverged", "interrupted"]


class Document(BaseModel):
    """Base: frozen, NaN and unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Epoch(Document):
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


class Final(Document):
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


class StepTime(Document):
    """Seconds per training step over the slices after warm-up; a slice gives one value, its mean
    step.
    """

    median: float
    p05: float
    p95: float
    n: int
    """Number of slices."""


class Timing(Document):
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


class Memory(Document):
    peak_bytes: int | None = None
    source: str | None = None
    """``process`` (largest resident set) or ``device`` (the framework's own count)."""


class Work(Document):
    flops_per_step: int | None = None
    """Estimated: three forward passes of a full batch."""
    gflops_per_s: float | None = None
    peak_fraction: float | None = None


class RuntimeResult(Document):
    """One row."""

    runtime: str
    status: Status
    reason: str | None = None
    log: str | None = None
    """Tail of the worker's log if it did not finish."""
    versions: dict[str, str] = {}
    device: str | None = None
    device_name: str | None = None
    threads: int | None = None
    parameters: int | None = None
    history: tuple[Epoch, ...] = ()
    final: Final = Final()
    timing: Timing = Timing()
    memory: Memory = Memory()
    work: Work = Work()
    settings: dict[str, str] = {}


class LedgerEntry(Document):
    """One setting that differs: runtime -> value."""

    setting: str
    values: dict[str, str | None]


class ParityCheck(Document):
    """The worst figure of one quantity of one runtime against one judge; see
    ``store.verify.CheckResult``.
    """

    runtime: str
    against: str
    quantity: str
    layer: str | None
    dtype: str
    worst: float | None
    gate: float
    passed: bool
    step: int | None
    unit: str


class ParityFinding(Document):
    """Where a runtime leaves the common function, and what it looks like."""

    runtime: str
    quantity: str
    layer: str | None
    step: int | None
    dtype: str
    worst: float | None
    gate: float
    looks_like: str | None
    """The known mistake that gives exactly what was seen; null: none of those tried."""


class Parity(Document):
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
    checks: tuple[ParityCheck, ...] = ()
    findings: tuple[ParityFinding, ...] = ()


class Comparison(Document):
    """``relative``: median step time over the fastest's, 1.00 = fastest; descriptive unless rounds
    decide.
    """

    rounds: int = 1
    relative: dict[str, float] = {}
    pairs: tuple[dict[str, Any], ...] = ()
    noise_floor: float | None = None


class RunResult(Document):
    """A whole run: the document of ``nncompare run``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["run"] = "run"
    id: str
    name: str
    created: str
    """ISO 8601 with offset."""
    experiment: dict[str, Any]
    """The resolved experiment, a valid file."""
    environment: dict[str, Any]
    """System, processor, cores, memory, Python, nncompare version, data digests and notes."""
    runtimes: tuple[RuntimeResult, ...]
    parity: Parity = Parity()
    ledger: tuple[LedgerEntry, ...] = ()
    comparison: Comparison = Comparison()

    @property
    def finished(self) -> tuple[RuntimeResult, ...]:
        return tuple(row for row in self.runtimes if row.status == "ok")

    @property
    def complete(self) -> bool:
        """Every runtime finished."""
        return len(self.finished) == len(self.runtimes)
