"""One training run inside a worker: import, build, train through the gate, evaluate, report."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nncompare.backends import native
from nncompare.backends.base import Backend, Params, Session
from nncompare.backends.loading import load_backend
from nncompare.data.base import Data
from nncompare.data.base import read as read_data
from nncompare.errors import Diverged, Interrupted, Refused
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.metrics import evaluate
from nncompare.numerics.schedules import make_plan
from nncompare.spec.job import Job
from nncompare.wire.job_folder import WEIGHTS_FILE
from nncompare.worker.gate import Slice, TrainingGate
from nncompare.worker.observe import quick
from nncompare.worker.probes import peak_resident_bytes

Send = Callable[..., None]
REPORT_S = 0.5
"""Slices are reported together, at most this often, so that the parent sleeps while a slice runs.
"""


class TrainingRun:
    """Trains one job and sends what ``worker.wire`` lists."""

    def __init__(
        self,
        job: Job,
        data_folder: Path,
        send: Send,
        permit: Callable[[], bool],
        folder: Path,
        save: bool,
    ):
        self.job, self.data_folder, self.send, self.permit = job, data_folder, send, permit
        self.folder, self.save = folder, save
        self.clock = time.perf_counter
        self.evaluate_s = 0.0
        self.history: list[dict[str, Any]] = []
        self.best: tuple[float, int, Params] | None = None
        self.judge: Callable[[dict[str, Any]], bool] = lambda _row: False
        """Told of every epoch's row; True stops training there and then."""
        self.parts: tuple[str, ...] = ("train", "validation", "test")
        """What is evaluated at the end."""
        self.freezes = True
        """Whether this process has nothing to free after it; a worker of many trials freezes what
        it keeps itself.
        """
        self.stopped = False
        """The judge stopped it: there are no final metrics."""
        self._validation: dict[str, float | None] | None = None
        self._unsent: list[Slice] = []
        self._sent_at = 0.0
        self.session: Session
        self.data: Data
        self.plan: BatchPlan

    def run(self) -> None:
        """The whole job.

        Raises:
            Refused, Diverged, Interrupted: with the reason; anything else is a failure.
        """
        begun = self.clock()
        backend = load_backend(self.job.runtime)
        import_s = self.clock() - begun
        self.send("imported", versions=backend.versions(), import_s=import_s)
        self.train_on(
            backend,
            lambda: read_data(self.data_folder, self.job.signature),
            import_s=import_s,
            begun=begun,
        )
        if self.job.experiment.measure.parity == "quick" and not self.job.native:
            self._check_parity(backend)
        self.session.close()

    def train_on(
        self, backend: Backend, data: Callable[[], Data], *, import_s: float, begun: float
    ) -> None:
        """The job without the import, on data that may be at hand already.

        The session stays open.

        Raises:
            Refused, Diverged, Interrupted: as ``run``.
        """
        reason = backend.why_not(self.job)
        if reason is not None:
            raise Refused(reason)
        self.job = backend.resolve(self.job)
        self.data = data()
        self.plan = make_plan(self.job.experiment.train, len(self.data.train), self.job.seed)
        build_s = self._build(backend)
        gate = self._train()
        if gate.diverged_at is not None:
            where = gate.diverged_at
            raise Diverged(
                f"loss is {where.loss} in steps {where.begin + 1} to {where.end} (epoch"
                f" {where.epoch + 1})"
            )
        if gate.interrupted:
            raise Interrupted("stopped by the parent")
        if self.stopped:
            return
        self._finish(gate, import_s=import_s, build_s=build_s, begun=begun)

    def _check_parity(self, backend: Backend) -> None:
        """After the training, so that it warms nothing up and is in no figure. A check that breaks
        costs the certificate, not the row.
        """
        begun = self.clock()
        session, job = self.session, self.job
        if job.model.drop_rates and job.dropout == "framework":
            # the masks of a framework's own dropout are nobody else's: the same network once more,
            # with shared masks
            job = replace(job, dropout="masks")
            session = backend.open(job, self.data)
        try:
            quick(session, job, self.data).save(self.folder)
        except Exception as error:
            traceback.print_exc()
            self.send(
                "parity", seconds=self.clock() - begun, error=f"{type(error).__name__}: {error}"
            )
        else:
            self.send("parity", seconds=self.clock() - begun, error=None)
        if session is not self.session:
            session.close()

    def _build(self, backend: Backend) -> float:
        begun = self.clock()
        self.session = backend.open(self.job, self.data)
        self.session.load(native.start(self.job))
        self.session.synchronize()
        build_s = self.clock() - begun
        self.send(
            "built",
            build_s=build_s,
            device=self.session.device.kind,
            device_name=f"{self.session.device.id} ({self.session.device.name})",
            parameters=native.trained_count(self.job, self.session.params()),
            settings=self.session.settings(),
            steps=self.plan.steps,
        )
        return build_s

    def _train(self) -> TrainingGate:
        gate = TrainingGate(
            self.plan,
            clock=self.clock,
            permit=self.permit,
            on_slice=self._on_slice,
            on_epoch=self._on_epoch,
        )
        gc.collect()
        if self.freezes:
            # what exists now is never scanned again, so a collection inside a slice is short
            gc.freeze()
        self.session.train(self.plan, gate)
        self._flush()
        return gate

    def _on_slice(self, sample: Slice) -> None:
        self._unsent.append(sample)
        if self.clock() - self._sent_at >= REPORT_S:
            self._flush()

    def _flush(self) -> None:
        if self._unsent:
            steps = sum(sample.end - sample.begin for sample in self._unsent)
            seconds = sum(sample.seconds for sample in self._unsent)
            rate = steps / seconds if seconds else None
            self.send("slices", rows=self._unsent, step=self._unsent[-1].end, steps_per_s=rate)
        self._unsent, self._sent_at = [], self.clock()

    def _metrics(self, part: str) -> dict[str, float | None]:
        split = getattr(self.data, part)
        found: dict[str, float | None] = evaluate(
            self.job.experiment.task, self.session.predict(split.x), split.y
        )
        return found

    def _on_epoch(self, epoch: int, train_loss: float, seconds: float) -> bool:
        begun = self.clock()
        metrics = self._metrics("validation")
        self.evaluate_s += self.clock() - begun
        self._validation = metrics
        row = {
            "epoch": epoch + 1,
            "train_loss": train_loss,
            "val_loss": metrics["loss"],
            "val_accuracy": metrics.get("accuracy"),
            "learning_rate": float(
                self.plan.learning_rate[(epoch + 1) * self.plan.steps_per_epoch - 1]
            ),
            "seconds": seconds,
        }
        self.history.append(row)
        self.send("epoch", **row)
        stop = self._stop_early(epoch + 1, row)
        self.stopped = not stop and epoch + 1 < self.plan.epochs and self.judge(row)
        return stop or self.stopped

    def _stop_early(self, epoch: int, row: dict[str, Any]) -> bool:
        rule = self.job.experiment.train.early_stopping
        if rule is None:
            return False
        value = row[rule.metric]
        value = np.inf if value is None else value if rule.metric == "val_loss" else -value
        if self.best is None or value < self.best[0] - rule.min_delta:
            self.best = (value, epoch, self.session.params())
        return epoch - self.best[1] >= rule.patience

    def _finish(self, gate: TrainingGate, *, import_s: float, build_s: float, begun: float) -> None:
        # before the passes below, so that they do not count as training's memory
        device_peak, process_peak = self.session.peak_bytes(), peak_resident_bytes()
        if self.best is not None:
            self.session.load(self.best[2])
        final: dict[str, Any] = {"best_epoch": self.best[1] if self.best else None}
        for part in self.parts:
            # the last epoch's evaluation was of the same weights, unless better ones have been
            # restored
            known = self._validation if part == "validation" and self.best is None else None
            short = "val" if part == "validation" else part
            final |= {
                f"{short}_{name}": value for name, value in (known or self._metrics(part)).items()
            }
        if self.save:
            self._save_weights()
        self.send(
            "result",
            final=final,
            timing={
                "import_s": import_s,
                "build_s": build_s,
                "first_step_s": gate.slices[0].seconds,
                "train_s": sum(sample.seconds for sample in gate.slices),
                "evaluate_s": self.evaluate_s,
                "total_s": self.clock() - begun,
            },
            memory={
                "peak_bytes": device_peak if device_peak is not None else process_peak,
                "source": "device" if device_peak is not None else "process",
            },
        )

    def _save_weights(self) -> None:
        from safetensors.numpy import save_file

        params = {
            name: np.ascontiguousarray(array) for name, array in self.session.params().items()
        }
        save_file(params, self.folder / WEIGHTS_FILE)
