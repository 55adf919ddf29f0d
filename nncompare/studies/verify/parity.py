"""``verify``: every runtime through the same check, judged by formulas and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import psutil

from nncompare.data import prepare, signature
from nncompare.data.base import Data, Split
from nncompare.errors import UsageError
from nncompare.launch.check import CheckTask, check_all
from nncompare.launch.resources import usable_threads
from nncompare.launch.train_one import Listener, Outcome
from nncompare.numerics.parity import EVALUATION_EXAMPLES, checked_examples
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.runtimes import CATALOG
from nncompare.studies.verify import trajectory
from nncompare.studies.verify.compare import by_formula, compare, compare_float32
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explain import explain
from nncompare.studies.verify.gates import Check
from nncompare.studies.verify.record import Change, Limit, ParityFinding
from nncompare.studies.verify.rounding import room_as_in_float64
from nncompare.wire.observation import Observation, read

Convention = Literal["aligned", "native"]
STEPS = 200
DTYPES = ("float64", "float32")


class Watcher(Listener, Protocol):
    """The progress display: told of every worker under ``runtime dtype``, and of what the parent
    does itself.
    """

    def prepares(self, text: str) -> None: ...

    def phase(self, text: str) -> None: ...

    def ended(self, label: str, outcome: Outcome) -> None: ...


class Silent:
    """A watcher that says nothing."""

    def prepares(self, text: str) -> None:
        pass

    def phase(self, text: str) -> None:
        pass

    def message(self, runtime: str, message: Mapping[str, object]) -> None:
        pass

    def ended(self, label: str, outcome: Outcome) -> None:
        pass


@dataclass
class Evidence:
    """What came of the workers, by dtype and runtime."""

    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    seen: dict[str, dict[str, Observation]] = field(
        default_factory=lambda: {dtype: {} for dtype in DTYPES}
    )
    checks: dict[str, list[Check]] = field(default_factory=lambda: {dtype: [] for dtype in DTYPES})


class Parity:
    """One check of one experiment: its jobs, its examples, its judges.

    Args:
        experiment: what is checked.
        work: a folder for jobs and observations.
        watcher: told of everything.
        steps: of the trajectory.
        dtypes: of ``DTYPES``.
    """

    def __init__(
        self,
        experiment: Experiment,
        work: Path,
        watcher: Watcher,
        steps: int,
        dtypes: Sequence[str],
    ):
        self.experiment, self.work, self.watcher, self.steps = experiment, work, watcher, steps
        self.dtypes = [dtype for dtype in DTYPES if dtype in dtypes]
        self.data = self._examples()
        self.missing: dict[str, str] = {
            name: reason for name in experiment.backends if (reason := CATALOG[name].missing())
        }
        self.contexts = {
            dtype: Context(
                self.job(experiment.backends[0], dtype), self.data.cast(np.dtype(dtype)), steps
            )
            for dtype in self.dtypes
        }
        self.dead: frozenset[str] = frozenset()
        self.limit: Limit | None = None

    def _examples(self) -> Data:
        """The examples of the check, in float64: so few batches that the steps cross epochs and
        smaller last batches, and some validation examples to evaluate.
        """
        train, spec = self.experiment.train, self.experiment.data
        data = prepare(
            spec,
            self.experiment.task,
            seed=train.seed,
            dtype=np.dtype("float64"),
            report=self.watcher.prepares,
        )
        count = checked_examples(len(data.train), train.batch_size, self.steps)
        few = [
            Split(x=part.x[:number], y=part.y[:number])
            for part, number in ((data.train, count), (data.validation, EVALUATION_EXAMPLES))
        ]
        return replace(data, train=few[0], validation=few[1], test=few[1])

    def job(self, runtime: str, dtype: str, convention: Convention = "aligned") -> Job:
        """One thread, deterministic kernels, shared dropout masks; on the CPU unless a device was
        asked for.
        """
        train = self.experiment.train.model_copy(update={"dtype": dtype, "convention": convention})
        device = self.experiment.measure.device
        return Job(
            runtime=runtime,
            experiment=self.experiment.model_copy(update={"train": train}),
            signature=signature(self.experiment.data, self.experiment.task),
            device="cpu" if device == "auto" else device,
            threads=1,
            seed=self.experiment.train.seed,
            dropout="masks",
            deterministic=True,
        )

    def run(self) -> Evidence:
        """Runs the workers and judges each as it ends, then all against each other."""
        evidence = Evidence()
        parallel = self._parallel()
        for dtype in self.dtypes:
            self.data.cast(np.dtype(dtype)).save(self.work / dtype / "data")
        tasks = [
            self._task(runtime, dtype)
            for dtype in self.dtypes
            for runtime in self.experiment.backends
        ]
        started = [task for task in tasks if task.job.runtime not in self.missing]
        timeout_s = self.experiment.measure.timeout_s
        # a training may diverge; what is not finite is judged like everything else
        with np.errstate(all="ignore"):
            for task, outcome in check_all(
                started, parallel=parallel, timeout_s=timeout_s, listener=self.watcher
            ):
                self._take(evidence, task, outcome)
            self._refuse(evidence)
            self._compare(evidence)
            self._heed_divergence(evidence)
            self._heed_rounding(evidence, parallel)
        return evidence

    def _refuse(self, evidence: Evidence) -> None:
        """The rows of runtimes that are not installed."""
        for runtime, reason in self.missing.items():
            for dtype in self.dtypes:
                outcome = Outcome(runtime=runtime, status="refused", reason=reason)
                evidence.outcomes[dtype, runtime] = outcome

    def _task(self, runtime: str, dtype: str, convention: Convention = "aligned") -> CheckTask:
        folder = self.work / dtype / runtime.replace(":", "-")
        job = self.job(runtime, dtype, convention)
        return CheckTask(job=job, folder=folder, data=self.work / dtype / "data", steps=self.steps)

    def _take(self, evidence: Evidence, task: CheckTask, outcome: Outcome) -> None:
        dtype, runtime = task.job.dtype.name, task.job.runtime
        evidence.outcomes[dtype, runtime] = outcome
        self.watcher.ended(task.label, outcome)
        if outcome.status == "ok":
            self.watcher.phase(f"judges {task.label} by the formulas")
            seen = evidence.seen[dtype][runtime] = read(task.folder)
            evidence.checks[dtype] += by_formula(self.contexts[dtype], runtime, seen)

    def _compare(self, evidence: Evidence) -> None:
        """Every pair, in the order of the experiment."""
        self.watcher.phase("compares the runtimes with each other")
        double, single = (self._ordered(evidence.seen[dtype]) for dtype in DTYPES)
        if double:
            checks, self.dead = compare(self.contexts["float64"], double)
            evidence.checks["float64"] += checks
        if single:
            evidence.checks["float32"] += compare_float32(self.contexts["float32"], single, double)
            evidence.checks["float32"] = room_as_in_float64(
                evidence.checks["float32"], evidence.checks["float64"]
            )

    def _heed_divergence(self, evidence: Evidence) -> None:
        """Takes no account of what comes after the training has diverged."""
        steps = self.steps
        for dtype in self.dtypes:
            steps = trajectory.sound_steps(evidence.seen[dtype], steps)
            evidence.checks[dtype] = trajectory.until(evidence.checks[dtype], steps)
            if steps < self.steps and self.limit is None:
                self.limit = Limit(steps=steps, reason=f"then the training diverges in {dtype}")

    def _heed_rounding(self, evidence: Evidence, parallel: int) -> None:
        """Where the runtimes part in the trajectory alone: measures how fast rounding grows there,
        and judges by it.
        """
        double = self._ordered(evidence.seen["float64"])
        if not trajectory.in_doubt(evidence.checks["float64"]):
            return
        self.watcher.phase(
            "the runtimes part in the midst of training: measures how fast rounding grows there"
        )
        tasks = [self._nudged_task(runtime) for runtime in double]
        timeout_s, nudged = self.experiment.measure.timeout_s, {}
        for task, outcome in check_all(
            tasks, parallel=parallel, timeout_s=timeout_s, listener=self.watcher
        ):
            self.watcher.ended(task.label, outcome)
            if outcome.status == "ok":
                nudged[task.job.runtime] = read(task.folder)
        if nudged:
            growth = trajectory.Growth(seen=double, nudged=nudged)
            self._judge_by(evidence, growth)

    def _judge_by(self, evidence: Evidence, growth: trajectory.Growth) -> None:
        steps = growth.comparable_steps()
        evidence.checks["float64"] = trajectory.with_growth(
            evidence.checks["float64"], growth, steps
        )
        evidence.checks["float32"] = trajectory.until(
            evidence.checks["float32"], steps, between=True
        )
        if self.limit is None or steps < self.limit.steps:
            self.limit = Limit(steps=steps, reason=growth.in_words())

    def _nudged_task(self, runtime: str) -> CheckTask:
        task = self._task(runtime, "float64")
        return replace(task, folder=self.work / "nudged" / runtime.replace(":", "-"), nudged=True)

    def _ordered(self, seen: Mapping[str, Observation]) -> dict[str, Observation]:
        return {name: seen[name] for name in self.experiment.backends if name in seen}

    def findings(self, evidence: Evidence) -> list[ParityFinding]:
        """Where and why runtimes part, float64 first."""
        found: list[ParityFinding] = []
        for dtype in self.dtypes:
            if any(not check.passed for check in evidence.checks[dtype]):
                self.watcher.phase("looks for the causes")
                found += explain(self.contexts[dtype], evidence.seen[dtype], evidence.checks[dtype])
        return found

    def changes(self, evidence: Evidence) -> list[Change]:
        """What the frameworks' defaults change; nothing in the aligned form."""
        return []

    def _parallel(self) -> int:
        """Workers at a time: as many as processors and memory allow.

        Raises:
            UsageError: not even one fits.
        """
        need, free = self._needed_bytes(), psutil.virtual_memory().available
        if need > 0.8 * free:
            count = self.contexts[self.dtypes[0]].model.trainable_count
            raise UsageError(
                f"the check of a model with {count:,} parameters in float64 needs about"
                f" {need / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free; make the"
                " model or train.batch_size smaller, or free memory"
            )
        return max(1, min(usable_threads(self.experiment.measure.threads), int(0.8 * free / need)))

    def _needed_bytes(self) -> int:
        """Estimate for one worker and the parent: every copy of the weights that a check keeps, and
        the activations of a batch with their gradients.
        """
        context = self.contexts[self.dtypes[0]]
        weights = sum(parameter.size for parameter in context.model.parameters.values())
        copies = 2 * (context.plan.update_steps + len(context.plan.checkpoints)) + 8
        values = sum(node.output.size for node in context.model.walk())
        batch = min(self.experiment.train.batch_size, len(self.data.train))
        runtimes = len(self.experiment.backends)
        return (
            8 * (weights * copies * (1 + runtimes) + values * (4 * batch + 2 * 64 * runtimes))
            + 2**29
        )
