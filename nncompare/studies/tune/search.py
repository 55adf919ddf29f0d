"""One search of one runtime: ask, train, judge, tell, until the trials asked for are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from nncompare.errors import ConfigError, DataError, Failed, RuntimeFailure
from nncompare.launch.trials import TrialWorker, ready
from nncompare.spec.tune import BY_EPOCH, NoPruner
from nncompare.studies.run.rows import runtime_row
from nncompare.studies.tune import samplers
from nncompare.studies.tune.plan import RunningTrial, SearchPlan, WorkerSlot
from nncompare.studies.tune.storage import HEARTBEAT_S, Study
from nncompare.studies.tune.trial import (
    FinishedTrial,
    evaluated_parts,
    experiment_of,
    most_epochs,
    spread_of,
    tasks,
    values_of,
)
from nncompare.studies.tune.trial_attributes import close, note
from nncompare.wire.figures import Epoch
from nncompare.wire.messages import PRUNED, End, EpochEnd, TrialEnd
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import TrialRequest


class Watcher(Protocol):
    """Who wants to know how a search goes."""

    def trial_started(self, runtime: str, number: int, params: Mapping[str, Any]) -> None: ...

    def trial_epoch(
        self, runtime: str, number: int, epoch: int, epochs: int, value: float | None
    ) -> None: ...

    def trial_done(self, runtime: str, done: FinishedTrial) -> None: ...

    def say(self, text: str) -> None: ...


class Search:
    """Runs a plan against a study.

    Args:
        end: the clock's time after which nothing is started any more; None: none.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        plan: SearchPlan,
        study: Study,
        watcher: Watcher,
        *,
        end: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.plan, self.tune, self.study, self.watcher = plan, plan.tune, study, watcher
        self.end, self.clock = end, clock
        self.stopped: str | None = None
        """Why it ended before all trials were done."""
        self._failures = 0
        self._slots = [WorkerSlot(index) for index in range(plan.jobs)]
        self._points = plan.points()
        self._judged = not isinstance(self.tune.pruner, NoPruner)
        self._epochs = most_epochs(plan.experiment)
        self._pruner = samplers.pruner(self.tune, self._epochs * (self.tune.folds or 1))
        self._view = study.load(sampler=optuna.samplers.RandomSampler(), pruner=self._pruner)
        """For the pruner, which reads the storage anew each time, and for telling."""
        self._looked = 0.0

    def run(self) -> None:
        """Until every trial is done, here or elsewhere, or there is a reason to stop.

        Raises:
            RuntimeFailure: the runtime does not even start; no trial is spent on that.
            KeyboardInterrupt: the trials under way wait for a resume.
        """
        for number in self.study.reclaim():
            self.watcher.say(
                f"trial {number} was cut off by the end of its process; it is trained again"
            )
        try:
            while self._go_on():
                self._listen()
        finally:
            for slot in self._slots:
                if slot.worker is not None:
                    slot.worker.close(politely=slot.under is None)
            for slot in self._slots:  # after that, since the storage may be what has failed
                self._let_go(slot)

    def _go_on(self) -> bool:
        """Gives idle workers their next trials; False when nothing is left to wait for."""
        if self.end is not None and self.clock() >= self.end:
            self.stopped = "tune.timeout has passed"
            return False
        for slot in self._slots:
            while slot.under is None and self.stopped is None:
                taken = self.study.take(self._points)
                if taken is None:
                    break
                self._begin(slot, taken)
        if any(slot.under is not None for slot in self._slots):
            return True
        return self.stopped is None and self.study.shared and self._others()

    def _others(self) -> bool:
        """Whether other processes still train; those that have died give their trials back."""
        self.study.reclaim()
        states = [
            trial.state for trial in self.study.trials(TrialState.RUNNING, TrialState.WAITING)
        ]
        done = len(self.study.trials()) - len(states)
        return done < len(self._points) and bool(states)

    def _begin(self, slot: WorkerSlot, taken: FrozenTrial) -> None:
        begun = self.clock()
        params = self.plan.propose(self.study, self.tune, taken._trial_id)
        under = RunningTrial(
            trial=taken,
            params=params,
            tasks=[],
            begun=begun,
            deadline=begun + (self.tune.trial_timeout or self.plan.experiment.measure.timeout_s),
            outcome=Outcome(runtime=self.plan.runtime),
        )
        slot.under = under
        self.watcher.trial_started(self.plan.runtime, taken.number, params)
        try:
            experiment = experiment_of(self.plan.experiment, params)
            under.tasks = tasks(
                experiment,
                self.plan.runtime,
                self.plan.threads,
                self.plan.data,
                folds=self.tune.folds,
            )
        except (ConfigError, DataError) as error:
            message = error.problems[0].message if isinstance(error, ConfigError) else str(error)
            self._tell(slot, "failed", "failed", f"no valid experiment: {message}")
            return
        self._train_next(slot)

    def _train_next(self, slot: WorkerSlot) -> None:
        """The trial's next training: its only one, or its next fold."""
        under = slot.under
        assert under is not None, "a slot that trains"
        if slot.worker is None:
            slot.worker = self._worker(slot.index)
        under.outcome = Outcome(runtime=self.plan.runtime, imported=slot.worker.imported)
        task = under.tasks[len(under.rows)]
        folder = self.plan.work / f"slot-{slot.index}"
        request = TrialRequest(
            job=task.job, data=task.data, judged=self._judged, parts=evaluated_parts(self.tune)
        )
        slot.worker.begin(folder, request)

    def _worker(self, index: int) -> TrialWorker:
        return TrialWorker(
            self.plan.runtime,
            threads=self.plan.threads,
            device=self.plan.experiment.measure.device,
            home=self.plan.work,
            log=self.plan.logs / f"{self.plan.runtime.replace(':', '-')}-{index}.log",
        )

    def _listen(self) -> None:
        """Waits until somebody says something or a time has come."""
        busy = [slot for slot in self._slots if slot.under is not None]
        times = [slot.under.deadline for slot in busy if slot.under is not None]
        times += [self.end] if self.end is not None else []
        times += [self.clock() + HEARTBEAT_S] if self.study.shared else []
        timeout = max(0.0, min(times) - self.clock()) if times else None
        by_worker = {id(slot.worker): slot for slot in busy}
        heard = ready([slot.worker for slot in busy if slot.worker is not None], timeout)
        if self.study.shared and self.clock() - self._looked >= HEARTBEAT_S / 2:
            self._looked = self.clock()
            self.study.beat([slot.under.trial._trial_id for slot in busy if slot.under is not None])
        for worker in heard:
            self._hear(by_worker[id(worker)], worker)
        for slot in busy:
            if slot.under is not None and self.clock() >= slot.under.deadline:
                self._drop(slot)
                limit = self.tune.trial_timeout or self.plan.experiment.measure.timeout_s
                self._tell(slot, "failed", "timed out", f"no result within {limit:g} s")

    def _hear(self, slot: WorkerSlot, worker: TrialWorker) -> None:
        under = slot.under
        assert under is not None, "only slots that train are heard"
        try:
            message = worker.receive()
        except RuntimeFailure as failure:
            self._died(slot, failure)
            return
        if isinstance(message, End):
            # the last word of the process, where the end of the trial was expected
            self._died(slot, Failed(message.reason or "the worker ended"))
            return
        under.outcome.take(message)
        if isinstance(message, TrialEnd):
            under.overhead_s += message.overhead_s
            self._trained(slot)
        elif isinstance(message, EpochEnd):
            self._epoch(under, worker, message.figures)

    def _died(self, slot: WorkerSlot, failure: RuntimeFailure) -> None:
        """A worker's process ended. Before it has imported its framework that is nobody's trial."""
        worker = slot.worker
        assert worker is not None, "only a worker can die"
        tail, imported = worker.process.tail(), worker.imported
        self._drop(slot)
        if imported is None:
            raise Failed(f"{self.plan.runtime} does not start: {failure}\n{tail}")
        self._tell(slot, "failed", failure.status, str(failure))

    def _epoch(self, under: RunningTrial, worker: TrialWorker, row: Epoch) -> None:
        """Reports the goal after an epoch and says whether the trial goes on."""
        fold, last = len(under.rows), row.epoch == under.tasks[0].job.experiment.train.epochs
        goal = self.tune.metric[0].name
        value = getattr(row, goal) if goal in BY_EPOCH and len(self.tune.metric) == 1 else None
        if value is not None:
            # with folds the mean so far, over the finished ones and this one
            before = [getattr(done.final, goal) for done in under.rows]
            value = (sum(before) + value) / (fold + 1)
            step = fold * self._epochs + row.epoch
            self.study.storage.set_trial_intermediate_value(under.trial._trial_id, step, value)
        epochs = under.tasks[0].job.experiment.train.epochs
        self.watcher.trial_epoch(self.plan.runtime, under.trial.number, row.epoch, epochs, value)
        if self._judged and not last:
            worker.answer(stop=value is not None and self._hopeless(under))

    def _hopeless(self, under: RunningTrial) -> bool:
        """What the pruner says of the trial as it stands in the storage."""
        return bool(
            self._pruner.prune(self._view, self.study.storage.get_trial(under.trial._trial_id))
        )

    def _trained(self, slot: WorkerSlot) -> None:
        """One training has ended; the trial is done with its last fold, or at once if it went
        wrong.
        """
        if slot.worker is not None and slot.worker.full:
            self._drop(slot)
        under = slot.under
        assert under is not None, "a slot that trained"
        outcome = under.outcome
        if outcome.status == PRUNED:
            self._tell(slot, "pruned", PRUNED, None)
            return
        if outcome.status != "ok":
            if outcome.status == "out of memory":
                self._drop(slot)  # what the failed allocation has left behind is nobody's guess
            self._tell(slot, "failed", outcome.status, outcome.reason)
            return
        task = under.tasks[len(under.rows)]
        under.rows.append(runtime_row(task.job, outcome, task.examples))
        if any(goal.name == "peak_bytes" for goal in self.tune.metric):
            self._drop(slot)  # the peak of a process is that of all its trials
        if len(under.rows) < len(under.tasks):
            self._train_next(slot)
            return
        values = values_of(under.rows, self.tune)
        if isinstance(values, str):
            self._tell(slot, "failed", "diverged" if "finite" in values else "failed", values)
        else:
            self._tell(slot, "complete", "ok", None, values)

    def _tell(
        self,
        slot: WorkerSlot,
        state: str,
        status: str,
        reason: str | None,
        values: list[float] | None = None,
    ) -> None:
        under = slot.under
        assert under is not None, "a slot with a trial"
        slot.under = None
        done = FinishedTrial(
            number=under.trial.number,
            state=state,
            status=status,
            reason=reason,
            values=values,
            params=under.params,
            rows=under.rows,
            seconds=self.clock() - under.begun,
        )
        attributes = note(
            done, under, self.plan, spread_of(under.rows, self.tune) if state == "complete" else {}
        )
        if not close(self.study, self._view, under.trial._trial_id, done, attributes):
            self.watcher.say(
                f"trial {done.number} was given to another process in the meantime; this result is"
                " dropped"
            )
            return
        self.watcher.trial_done(self.plan.runtime, done)
        self._failures = self._failures + 1 if state == "failed" else 0
        if self._failures >= self.tune.max_failures:
            self.stopped = (
                f"{self._failures} trials failed in a row (tune.max_failures), the last one:"
                f" {status}: {reason}"
            )

    def _drop(self, slot: WorkerSlot) -> None:
        """Ends the slot's process; the next trial gets a new one."""
        if slot.worker is not None:
            slot.worker.close()
            slot.worker = None

    def _let_go(self, slot: WorkerSlot) -> None:
        """Gives a trial under way back."""
        if slot.under is not None:
            self.study.release(slot.under.trial._trial_id)
