"""A check in the aligned convention: every runtime through the same steps, judged by formulas and
against each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
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


class AlignedParity:
    """One check of one experiment: its jobs, its examples, its judges.

    Args:
        experiment: what is checked.
        work: a folder for jobs and observations.
        watcher: told of everything.
        steps: of the growth.
        dtypes: of ``DTYPES``.

    Attributes:
        outcomes: (dtype, runtime) -> how its worker ended.
        observations, checks: dtype -> what came of the workers, once ``run`` has ended.
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
        self.dtypes = tuple(dtypes)
        self.data = self._examples()
        reasons = {name: CATALOG[name].missing() for name in experiment.backends}
        self.missing = {name: reason for name, reason in reasons.items() if reason}
        self.contexts = {}
        for dtype in self.dtypes:
            job = self.job(experiment.backends[0], dtype)
            self.contexts[dtype] = Context(job, self.data.cast(np.dtype(dtype)), steps)
        self.outcomes: dict[tuple[str, str], Outcome] = {}
        self.observations: defaultdict[str, dict[str, Observation]] = defaultdict(dict)
        self.checks: defaultdict[str, list[Check]] = defaultdict(list)
        self.dead: frozenset[str] = frozenset()
        self.limit: Limit | None = None

    def _examples(self) -> Data:
        """The examples of the check, in float64: so few batches that the steps cross epochs and
        smaller last batches, and some validation examples to evaluate.
        """
        train = self.experiment.train
        data = prepare(
            self.experiment.data,
            self.experiment.task,
            seed=train.seed,
            dtype=np.dtype("float64"),
            report=self.watcher.prepares,
        )
        # few examples, the same for all: an epoch of them is short, so that its end is seen
        count = checked_examples(len(data.train), train.batch_size, self.steps)
        few = Split(x=data.train.x[:count], y=data.train.y[:count])
        seen = data.validation
        evaluated = Split(x=seen.x[:EVALUATION_EXAMPLES], y=seen.y[:EVALUATION_EXAMPLES])
        return replace(data, train=few, validation=evaluated, test=evaluated)

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

    def run(self) -> None:
        """Runs the workers and judges each as it ends, then all against each other."""
        parallel = self._parallel()
        for dtype in self.dtypes:
            self.data.cast(np.dtype(dtype)).save(self.work / dtype / "data")
        tasks = [
            self._task(runtime, dtype)
            for dtype in self.dtypes
            for runtime in self.experiment.backends
            if runtime not in self.missing
        ]
        # a training may diverge; what is not finite is judged like everything else
        with np.errstate(all="ignore"):
            self._run_workers(tasks, parallel, self._take)
            self._refuse()
            self._compare()
            self._limit_to_sound_steps()
            self._follow_growth(parallel)

    def _run_workers(
        self,
        tasks: Sequence[CheckTask],
        parallel: int,
        take: Callable[[CheckTask, Outcome], None],
    ) -> None:
        """Runs every task and has its outcome taken, as they end."""
        timeout_s = self.experiment.measure.timeout_s
        found = check_all(tasks, parallel=parallel, timeout_s=timeout_s, listener=self.watcher)
        # closed whatever ends the loop: the workers end before their folders are removed
        with closing(found):
            for task, outcome in found:
                take(task, outcome)

    def _refuse(self) -> None:
        """The rows of runtimes that are not installed."""
        for runtime, reason in self.missing.items():
            for dtype in self.dtypes:
                outcome = Outcome(runtime=runtime, status="refused", reason=reason)
                self.outcomes[dtype, runtime] = outcome

    def _task(self, runtime: str, dtype: str, convention: Convention = "aligned") -> CheckTask:
        folder = self.work / dtype / file_name(runtime)
        job = self.job(runtime, dtype, convention)
        return CheckTask(job=job, folder=folder, data=self.work / dtype / "data", steps=self.steps)

    def _take(self, task: CheckTask, outcome: Outcome) -> None:
        dtype = task.job.dtype.name
        runtime = task.job.runtime
        self.watcher.ended(task.label, outcome)
        self.outcomes[dtype, runtime] = outcome
        # judged while the other workers still run
        if outcome.status == "ok":
            self.watcher.phase(f"judges {task.label} by the formulas")
            observation = read(task.folder)
            self.observations[dtype][runtime] = observation
            self.checks[dtype] += judge.by_formula(self.contexts[dtype], runtime, observation)

    def _compare(self) -> None:
        """Every pair, in the order of the experiment."""
        self.watcher.phase("compares the runtimes with each other")
        seen = self.observations
        checks = self.checks
        for dtype in DTYPES:
            # workers end in any order
            of_dtype = seen[dtype]
            runtimes = [name for name in self.experiment.backends if name in of_dtype]
            seen[dtype] = {name: of_dtype[name] for name in runtimes}
        wide = seen["float64"]
        narrow = seen["float32"]
        if wide:
            between, self.dead = judge.between(self.contexts["float64"], wide)
            checks["float64"] += between
        if narrow:
            checks["float32"] += judge.between_float32(self.contexts["float32"], narrow, wide)
            # what float64 shows in the same place is known only now
            checks["float32"] = room_as_in_float64(checks["float32"], checks["float64"])

    def _limit_to_sound_steps(self) -> None:
        """Takes no account of what comes after the training has diverged."""
        steps = self.steps
        for dtype in self.dtypes:
            steps = growth.sound_steps(self.observations[dtype], steps)
            self.checks[dtype] = growth.until(self.checks[dtype], steps)
            # the dtype that diverges first is the one to name
            if steps < self.steps and self.limit is None:
                self.limit = Limit(steps=steps, reason=f"then the training diverges in {dtype}")

    def _follow_growth(self, parallel: int) -> None:
        """Where the runtimes part in the trajectory alone: measures how fast rounding grows there,
        and judges by it.
        """
        if not growth.in_doubt(self.checks["float64"]):
            return
        self.watcher.phase(
            "the runtimes part in the midst of training: measures how fast rounding grows there"
        )
        tasks = []
        for runtime in self.observations["float64"]:
            folder = self.work / "perturbed" / file_name(runtime)
            task = self._task(runtime, "float64")
            tasks.append(replace(task, folder=folder, perturbed=True))
        perturbed: dict[str, Observation] = {}

        def take(task: CheckTask, outcome: Outcome) -> None:
            self.watcher.ended(task.label, outcome)
            if outcome.status == "ok":
                perturbed[task.job.runtime] = read(task.folder)

        self._run_workers(tasks, parallel, take)
        # without a single second training the usual tolerances hold
        if not perturbed:
            return
        measured = growth.Growth(observations=self.observations["float64"], perturbed=perturbed)
        steps = measured.comparable_steps()
        checks = self.checks
        checks["float64"] = growth.with_growth(checks["float64"], measured, steps)
        checks["float32"] = growth.until(checks["float32"], steps, between=True)
        # a training may diverge before that: then it is the nearer limit
        if self.limit is None or steps < self.limit.steps:
            self.limit = Limit(steps=steps, reason=measured.in_words())

    def findings(self) -> list[ParityFinding]:
        """Where and why runtimes part, float64 first."""
        found: list[ParityFinding] = []
        for dtype in self.dtypes:
            checks = self.checks[dtype]
            if any(not check.passed for check in checks):
                self.watcher.phase("looks for the causes")
                found += explain(self.contexts[dtype], self.observations[dtype], checks)
        return found

    def changes(self) -> list[Change]:
        """What the frameworks' defaults change; nothing in the aligned form."""
        return []

    def _parallel(self) -> int:
        """Workers at a time: as many as processors and memory allow.

        Raises:
            UsageError: not even one fits.
        """
        context = self.contexts[self.dtypes[0]]
        need = self._needed_bytes(context)
        free = psutil.virtual_memory().available
        # the system and its other users keep a fifth
        fitting = int(0.8 * free / need)
        if fitting < 1:
            raise UsageError(
                f"the check of a model with {context.model.trainable_count:,} parameters in float64"
                f" needs about {need / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are"
                " free; make the model or train.batch_size smaller, or free memory"
            )
        return min(usable_threads(self.experiment.measure.threads), fitting)

    def _needed_bytes(self, context: Context) -> int:
        """Estimate for one worker and the parent: every copy of the weights that a check keeps, and
        the activations of a batch with their gradients.
        """
        weights = sum(parameter.size for parameter in context.model.parameters.values())
        activations = sum(node.output.size for node in context.model.walk())
        runtimes = len(self.experiment.backends)
        # before and after every update, at every checkpoint, and what both sides work with
        copies = 2 * (context.plan.update_steps + len(context.plan.checkpoints)) + 8
        batch = min(self.experiment.train.batch_size, len(self.data.train))
        # in the parent: the outputs of 64 examples in both modes, by each runtime
        examples = 4 * batch + 2 * 64 * runtimes
        numbers = weights * copies * (1 + runtimes) + activations * examples
        # half a gigabyte for the framework itself
        return 8 * numbers + 2**29
