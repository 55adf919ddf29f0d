"""A check in the native convention: does every framework do what its backend declares?

A backend declares the framework's own defaults and what its layers and optimizers mean
(``numerics.semantics``). Every runtime is trained as it ships, and the same checks as in the
aligned convention hold it to the formulas under that declaration, in float64 and to the same
tolerances. The runtimes are not compared with each other, since nothing is meant to be equal
between them; what the defaults of each change against its aligned form is told beside it
(``changes``).
"""

from __future__ import annotations

import numpy as np

from nncompare.launch.check import CheckTask
from nncompare.spec.runtimes import file_name
from nncompare.studies.verify import growth, judge
from nncompare.studies.verify.aligned import AlignedParity
from nncompare.studies.verify.changes import changes
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.findings import explain
from nncompare.studies.verify.record import Change, Limit, ParityFinding
from nncompare.wire import declaration
from nncompare.wire.observation import Observation, read
from nncompare.wire.outcome import Outcome

NATIVE = "native"
DTYPE = "float64"
"""The one dtype of this form. What a default changes is far larger than rounding in float32."""


class NativeParity(AlignedParity):
    """The form of a check for ``train.convention: native``: two workers a runtime, float64."""

    def run(self) -> None:
        """Runs every runtime in both conventions, and judges the native form of each."""
        parallel = self._parallel()
        self.data.cast(np.dtype(DTYPE)).save(self.work / DTYPE / "data")
        self._native: dict[str, Observation] = {}
        self._declared: dict[str, Context] = {}
        tasks = [
            task
            for runtime in self.experiment.backends
            if runtime not in self.missing
            for task in (self._task(runtime, DTYPE), self._native_task(runtime))
        ]
        # a training may diverge; what is not finite is judged like everything else
        with np.errstate(all="ignore"):
            self._run_workers(tasks, parallel, self._keep)
        self._refuse()
        self._limit_to_sound_native_steps()

    def _native_task(self, runtime: str) -> CheckTask:
        task = self._task(runtime, DTYPE, convention="native")
        folder = self.work / NATIVE / file_name(runtime)
        return CheckTask(job=task.job, folder=folder, data=task.data, steps=task.steps)

    def _keep(self, task: CheckTask, outcome: Outcome) -> None:
        runtime = task.job.runtime
        known = self.outcomes.get((DTYPE, runtime))
        # the native form is the one that the user asked about: its versions and settings, and any
        # failure, are the row
        better = task.job.native or outcome.status != "ok"
        if known is None or (better and known.status == "ok"):
            self.outcomes[DTYPE, runtime] = outcome
        self.watcher.ended(f"{task.label} {task.job.experiment.train.convention}", outcome)
        if outcome.status != "ok":
            return
        observation = read(task.folder)
        if task.job.native:
            self._native[runtime] = observation
            self._judge_native(task)
        else:
            self.observations[DTYPE][runtime] = observation

    def _judge_native(self, task: CheckTask) -> None:
        """One runtime by the formulas under what its backend declares."""
        runtime = task.job.runtime
        self.watcher.phase(f"judges {runtime} by the formulas under its own defaults")
        job, semantics = declaration.read(task.folder, task.job)
        context = Context(job, self.contexts[DTYPE].data, self.steps, semantics)
        self._declared[runtime] = context
        self.checks[DTYPE] += judge.by_formula(context, runtime, self._native[runtime])

    def _limit_to_sound_native_steps(self) -> None:
        """Takes no account of what comes after a native training has diverged."""
        steps = growth.sound_steps(self._native, self.steps)
        if steps < self.steps:
            self.checks[DTYPE] = growth.until(self.checks[DTYPE], steps)
            self.limit = Limit(steps=steps, reason=f"then a training diverges in {DTYPE}")

    def findings(self) -> list[ParityFinding]:
        """Where a framework does not do what its backend declares, and what it does instead."""
        failed = [check for check in self.checks[DTYPE] if not check.passed]
        if failed:
            self.watcher.phase("looks for the causes")
        found: list[ParityFinding] = []
        for runtime, context in self._declared.items():
            own = [check for check in failed if check.runtime == runtime]
            found += explain(context, {runtime: self._native[runtime]}, own)
        return found

    def changes(self) -> list[Change]:
        """All changes, runtime by runtime."""
        self.watcher.phase("compares every runtime with its aligned form")
        aligned = self.observations[DTYPE]
        both = [name for name in self.experiment.backends if name in self._native.keys() & aligned]
        context = self.contexts[DTYPE]
        return [
            change
            for runtime in both
            for change in changes(context, runtime, self._native[runtime], aligned[runtime])
        ]
