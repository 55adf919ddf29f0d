"""A check in the aligned convention: every runtime through the same steps, judged by formulas and
against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import psutil

from nncompare.data import prepare, signature
from nncompare.data.base import Data, Split
from nncompare.errors import UsageError
from nncompare.launch.check import CheckTask, check_all
from nncompare.launch.resources import usable_threads
from nncompare.numerics.parity import EVALUATION_EXAMPLES, checked_examples
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.runtimes import CATALOG, file_name
from nncompare.studies.verify import growth, judge
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.rounding import room_as_in_float64
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.findings import explain
from nncompare.studies.verify.record import Change, Limit, ParityFinding
from nncompare.studies.verify.watcher import Watcher
from nncompare.wire.observation import Observation, read
from nncompare.wire.outcome import Outcome

Convention = Literal["aligned", "native"]
STEPS = 200
DTYPES = ("float64", "float32")


@dataclass
class Evidence:
    """What came of the workers, by dtype and runtime."""

    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    observations: dict[str, dict[str, Observation]] = field(
        default_factory=lambda: {dtype: {} for dtype in DTYPES}
    )
    checks: dict[str, list[Check]] = field(default_factory=lambda: {dtype: [] for dtype in DTYPES})


class AlignedParity:
    """One check of one experiment: its jobs, its examples, its judges.

    Args:
        experiment: what is checked.
        work: a folder for jobs and observations.
        watcher: told of everything.
        steps: of the growth.
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
        self.experiment = experiment
        self.work = work
        self.watcher = watcher
        self.steps = steps
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
            self._limit_to_sound_steps(evidence)
            self._follow_growth(evidence, parallel)
        return evidence

    def _refuse(self, evidence: Evidence) -> None:
        """The rows of runtimes that are not installed."""
        for runtime, reason in self.missing.items():
            for dtype in self.dtypes:
                outcome = Outcome(runtime=runtime, status="refused", reason=reason)
                evidence.outcomes[dtype, runtime] = outcome

    def _task(self, runtime: str, dtype: str, convention: Convention = "aligned") -> CheckTask:
        folder = self.work / dtype / file_name(runtime)
        job = self.job(runtime, dtype, convention)
        return CheckTask(job=job, folder=folder, data=self.work / dtype / "data", steps=self.steps)

    def _take(self, evidence: Evidence, task: CheckTask, outcome: Outcome) -> None:
        dtype, runtime = task.job.dtype.name, task.job.runtime
        evidence.outcomes[dtype, runtime] = outcome
        self.watcher.ended(task.label, outcome)
        if outcome.status == "ok":
            self.watcher.phase(f"judges {task.label} by the formulas")
            observation = read(task.folder)
            evidence.observations[dtype][runtime] = observation
            evidence.checks[dtype] += judge.by_formula(self.contexts[dtype], runtime, observation)

    def _compare(self, evidence: Evidence) -> None:
        """Every pair, in the order of the experiment."""
        self.watcher.phase("compares the runtimes with each other")
        wide = self._ordered(evidence.observations["float64"])
        narrow = self._ordered(evidence.observations["float32"])
        if wide:
            checks, self.dead = judge.between(self.contexts["float64"], wide)
            evidence.checks["float64"] += checks
        if narrow:
            between = judge.between_float32(self.contexts["float32"], narrow, wide)
            # what float64 shows in the same place is known only now
            evidence.checks["float32"] = room_as_in_float64(
                evidence.checks["float32"] + between, evidence.checks["float64"]
            )

    def _limit_to_sound_steps(self, evidence: Evidence) -> None:
        """Takes no account of what comes after the training has diverged."""
        steps = self.steps
        for dtype in self.dtypes:
            steps = growth.sound_steps(evidence.observations[dtype], steps)
            evidence.checks[dtype] = growth.until(evidence.checks[dtype], steps)
            # the dtype that diverges first is the one to name
            if steps < self.steps and self.limit is None:
                self.limit = Limit(steps=steps, reason=f"then the training diverges in {dtype}")

    def _follow_growth(self, evidence: Evidence, parallel: int) -> None:
        """Where the runtimes part in the trajectory alone: measures how fast rounding grows there,
        and judges by it.
        """
        if not growth.in_doubt(evidence.checks["float64"]):
            return
        self.watcher.phase(
            "the runtimes part in the midst of training: measures how fast rounding grows there"
        )
        observations = self._ordered(evidence.observations["float64"])
        tasks = [self._perturbed_task(runtime) for runtime in observations]
        perturbed = {}
        for task, outcome in check_all(
            tasks,
            parallel=parallel,
            timeout_s=self.experiment.measure.timeout_s,
            listener=self.watcher,
        ):
            self.watcher.ended(task.label, outcome)
            if outcome.status == "ok":
                perturbed[task.job.runtime] = read(task.folder)
        # without a single second training the usual tolerances hold
        if perturbed:
            measured = growth.Growth(observations=observations, perturbed=perturbed)
            self._judge_by(evidence, measured)

    def _judge_by(self, evidence: Evidence, measured: growth.Growth) -> None:
        steps = measured.comparable_steps()
        evidence.checks["float64"] = growth.with_growth(evidence.checks["float64"], measured, steps)
        evidence.checks["float32"] = growth.until(evidence.checks["float32"], steps, between=True)
        # a training may diverge before that: then it is the nearer limit
        if self.limit is None or steps < self.limit.steps:
            self.limit = Limit(steps=steps, reason=measured.in_words())

    def _perturbed_task(self, runtime: str) -> CheckTask:
        task = self._task(runtime, "float64")
        folder = self.work / "perturbed" / file_name(runtime)
        return replace(task, folder=folder, perturbed=True)

    def _ordered(self, observations: Mapping[str, Observation]) -> dict[str, Observation]:
        """By runtime, in the order of the experiment: workers end in any order."""
        return {
            name: observations[name] for name in self.experiment.backends if name in observations
        }

    def findings(self, evidence: Evidence) -> list[ParityFinding]:
        """Where and why runtimes part, float64 first."""
        found: list[ParityFinding] = []
        for dtype in self.dtypes:
            if any(not check.passed for check in evidence.checks[dtype]):
                self.watcher.phase("looks for the causes")
                found += explain(
                    self.contexts[dtype], evidence.observations[dtype], evidence.checks[dtype]
                )
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
