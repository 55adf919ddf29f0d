"""One training inside a worker: import, build, train through the gate, evaluate, report."""

from __future__ import annotations

import gc
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

import numpy as np

from nncompare.backends import native
from nncompare.backends.base import Backend, Params, Session
from nncompare.data.base import PARTS, Data, Part
from nncompare.data.base import read as read_data
from nncompare.errors import Diverged, Interrupted
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.metrics import evaluate
from nncompare.numerics.schedules import make_plan
from nncompare.spec.job import Job
from nncompare.spec.training import EarlyStopping
from nncompare.wire.connection import Send
from nncompare.wire.figures import Epoch, Final, Memory
from nncompare.wire.job_folder import WEIGHTS_FILE
from nncompare.wire.messages import Built, EpochEnd, ParityChecked, Result, Slices
from nncompare.wire.requests import TrainRequest
from nncompare.wire.slice import Slice
from nncompare.worker.gate import TrainingGate
from nncompare.worker.importing import agreed, import_framework
from nncompare.worker.observe import observe_quickly
from nncompare.worker.probes import peak_resident_bytes

REPORT_S = 0.5
"""Slices are reported together, at most this often, so that the parent sleeps while a slice runs.
"""

Metrics = dict[str, float | None]
"""``loss``, and ``accuracy`` or what the task has in its place."""


@dataclass(frozen=True)
class _Best:
    """The best epoch so far, for early stopping."""

    badness: float
    """The watched metric, turned so that smaller is better."""
    epoch: int
    params: Params


def train(request: TrainRequest, folder: Path, send: Send, permit: Callable[[], bool]) -> None:
    """The job of a worker of a run: a training and, where it is asked for, its short parity check.

    Args:
        request: what to train.
        folder: of the job; takes the weights and the observation.
        send: to the parent.
        permit: waits for the parent's leave to run a slice; False: stop.

    Raises:
        Refused, Diverged, Interrupted: with the reason; anything else is a failure.
    """
    weights = folder / WEIGHTS_FILE if request.save_weights else None
    # made before the import, since its time counts from here
    training = TrainingRun(request.job, send=send, permit=permit, weights=weights)
    backend = import_framework(request.runtime, send)
    training.run(backend, lambda: read_data(request.data, request.job.signature))
    # a native training has no formula that all share
    if request.job.experiment.measure.parity == "quick" and not request.job.native:
        _check_parity(training, backend, folder)
    training.session.close()


@dataclass
class TrainingRun:
    """Trains one job and says what happens.

    Args:
        job: what to train.
        send: to the parent.
        permit: waits for the parent's leave to run a slice; False: stop.
        parts: of the data that are evaluated at the end.
        is_hopeless: asked after every epoch but the last; True stops training there and then.
        freezes: whether this process has nothing to free after the training; a worker of many
            trials freezes what it keeps itself.
        weights: the file that takes the final weights.
        clock: monotonic seconds.
    """

    job: Job
    _: KW_ONLY
    send: Send
    permit: Callable[[], bool]
    parts: tuple[Part, ...] = PARTS
    is_hopeless: Callable[[], bool] = lambda: False
    freezes: bool = True
    weights: Path | None = None
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        self.pruned = False
        """It was hopeless: there are no final metrics."""
        self.session: Session
        """Open from the moment that it is built; whoever runs the training closes it."""
        self.data: Data
        self.plan: BatchPlan
        self._begun = self.clock()
        self._evaluate_s = 0.0
        self._best: _Best | None = None
        self._validation: Metrics | None = None
        self._unsent: list[Slice] = []
        self._sent_at = 0.0

    def run(self, backend: Backend, data: Callable[[], Data]) -> None:
        """The whole training, on data that may be at hand already.

        Args:
            backend: of the job's runtime.
            data: called once the backend has agreed to the job.

        Raises:
            Refused, Diverged, Interrupted: with the reason; anything else is a failure.
        """
        self.job = agreed(backend, self.job)
        self.data = data()
        self.plan = make_plan(self.job.experiment.train, len(self.data.train), self.job.seed)
        self._build(backend)
        gate = self._train()
        # a figure of a training that went wrong would be taken for one of a training that did not
        if gate.divergence is not None:
            where = gate.divergence.slice
            raise Diverged(
                f"loss is {gate.divergence.loss} in steps {where.begin + 1} to {where.end} (epoch"
                f" {where.epoch})"
            )
        if gate.interrupted:
            raise Interrupted("stopped by the parent")
        if not self.pruned:
            self._finish()

    def _build(self, backend: Backend) -> None:
        begun = self.clock()
        self.session = backend.open(self.job, self.data)
        # the same start for every runtime; in the native convention only where it has none
        self.session.load(native.start(self.job))
        self.session.synchronize()
        build_s = self.clock() - begun
        self.send(
            Built(
                device=self.session.device,
                settings=self.session.settings(),
                build_s=build_s,
                parameters=native.trained_count(self.job, self.session.params()),
                steps=self.plan.steps,
            )
        )

    def _train(self) -> TrainingGate:
        gate = TrainingGate(
            self.plan,
            clock=self.clock,
            permit=self.permit,
            on_slice=self._on_slice,
            on_epoch=self._on_epoch,
        )
        # garbage of the building would be collected inside a slice
        gc.collect()
        if self.freezes:
            # what exists now is never scanned again, so a collection inside a slice is short
            gc.freeze()
        self.session.train(self.plan, gate)
        self._send_slices()
        return gate

    def _on_slice(self, sample: Slice) -> None:
        self._unsent.append(sample)
        # each message wakes the parent, on a processor that may be ours
        if self.clock() - self._sent_at >= REPORT_S:
            self._send_slices()

    def _send_slices(self) -> None:
        # a training that is refused a first slice has none
        if self._unsent:
            self.send(Slices(slices=tuple(self._unsent)))
        self._unsent = []
        self._sent_at = self.clock()

    def _on_epoch(self, epoch: int, train_loss: float, seconds: float) -> bool:
        """Evaluates, reports, and says whether training stops here."""
        begun = self.clock()
        metrics = self._metrics("validation")
        self._evaluate_s += self.clock() - begun
        # kept, since after the last epoch it is the final figure too
        self._validation = metrics
        last_step = epoch * self.plan.steps_per_epoch - 1
        figures = Epoch(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=metrics["loss"],
            val_accuracy=metrics.get("accuracy"),
            learning_rate=float(self.plan.learning_rate[last_step]),
            seconds=seconds,
        )
        self.send(EpochEnd(figures=figures))
        rule = self.job.experiment.train.early_stopping
        if rule is not None and self._out_of_patience(figures, rule):
            return True
        # nothing is left to stop after the last epoch, and nobody waits for the question
        if epoch < self.plan.epochs:
            self.pruned = self.is_hopeless()
        return self.pruned

    def _out_of_patience(self, figures: Epoch, rule: EarlyStopping) -> bool:
        """Keeps the best weights; True if too many epochs have passed since."""
        badness = _badness(figures, rule)
        # a restart of the count needs an improvement that is worth it
        if self._best is None or badness < self._best.badness - rule.min_delta:
            self._best = _Best(badness, figures.epoch, self.session.params())
        return figures.epoch - self._best.epoch >= rule.patience

    def _metrics(self, part: Part) -> Metrics:
        split = self.data.part(part)
        outputs = self.session.predict(split.x)
        return evaluate(self.job.experiment.task, outputs, split.y)

    def _finish(self) -> None:
        """Evaluates the last weights, or the best ones, and reports."""
        # before the passes below, so that they do not count as training's memory
        memory = self._memory()
        if self._best is not None:
            # what is reported is what early stopping would ship
            self.session.load(self._best.params)
        final = self._final()
        # after the best epoch has been restored
        if self.weights is not None:
            _save(self.session.params(), self.weights)
        self.send(
            Result(
                final=final,
                memory=memory,
                evaluate_s=self._evaluate_s,
                total_s=self.clock() - self._begun,
            )
        )

    def _memory(self) -> Memory:
        # a framework that counts the memory of its device knows better than the system
        on_device = self.session.peak_bytes()
        if on_device is not None:
            return Memory(peak_bytes=on_device, source="device")
        return Memory(peak_bytes=peak_resident_bytes(), source="process")

    def _final(self) -> Final:
        figures: Metrics = {}
        for part in self.parts:
            # the last epoch's evaluation was of the same weights, unless better ones have been
            # restored
            known = self._validation if part == "validation" and self._best is None else None
            metrics = self._metrics(part) if known is None else known
            short = "val" if part == "validation" else part
            for name, value in metrics.items():
                figures[f"{short}_{name}"] = value
        best_epoch = None if self._best is None else self._best.epoch
        return Final(**figures, best_epoch=best_epoch)


def _badness(figures: Epoch, rule: EarlyStopping) -> float:
    """The metric that early stopping watches, turned so that smaller is better."""
    value: float | None = getattr(figures, rule.metric)
    # a loss that is not finite is worse than any other
    if value is None:
        return math.inf
    return value if rule.metric == "val_loss" else -value


def _save(params: Params, path: Path) -> None:
    from safetensors.numpy import save_file

    # a transposed view would be written in the order of its memory
    save_file({name: np.ascontiguousarray(array) for name, array in params.items()}, path)


def _check_parity(training: TrainingRun, backend: Backend, folder: Path) -> None:
    """After the training, so that it warms nothing up and is in no figure. A check that breaks
    costs the certificate, not the row.
    """
    session = training.session
    job = training.job
    if job.model.drop_rates and job.dropout == "framework":
        # the masks of a framework's own dropout are nobody else's: the same network once more,
        # with shared masks
        job = replace(job, dropout="masks")
        session = backend.open(job, training.data)
    try:
        observe_quickly(session, job, training.data).save(folder)
    except Exception as error:
        traceback.print_exc()
        training.send(ParityChecked(error=f"{type(error).__name__}: {error}"))
    else:
        training.send(ParityChecked())
    if session is not training.session:
        session.close()
