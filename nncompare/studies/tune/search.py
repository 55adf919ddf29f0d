"""One search of one runtime: ask, train, judge, tell, until the trials asked for are done.

The parent blocks in one place (``_listen``) until a worker says something or a time has come; it
never polls, since it would take the processors that the trials train on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from nncompare.errors import ConfigError, DataError, Failed, RuntimeFailure
from nncompare.launch.trials import TrialWorker, ready
from nncompare.records.rows import runtime_row
from nncompare.spec.runtimes import file_name
from nncompare.spec.tune import BY_EPOCH, NoPruner
from nncompare.studies.tune import samplers
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.running_trial import RunningTrial, WorkerSlot
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.studies.tune.trial import (
    FinalState,
    FinishedTrial,
    evaluated_parts,
    experiment_of,
    goal_values,
    measures_peak_memory,
    most_epochs,
    trial_jobs,
    trial_limit_s,
)
from nncompare.studies.tune.trial_attributes import finish_trial, user_attributes
from nncompare.studies.tune.watcher import Watcher
from nncompare.wire.figures import Epoch
from nncompare.wire.messages import PRUNED, End, EpochEnd, TrialEnd
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import TrialRequest


class Search:
    """Runs a plan against a study.

    Args:
        plan: what is searched.
        study: where the trials are kept.
        watcher: told of everything as it happens.
        end: the clock's time after which nothing is started any more; None: none.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        plan: SearchPlan,
        study: StoredStudy,
        watcher: Watcher,
        *,
        end: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.plan = plan
        self.tune = plan.tune
        self.study = study
        self.watcher = watcher
        self.end = end
        self.clock = clock
        self.stopped: str | None = None
        """Why it ended before all trials were done."""
        self._slots = [WorkerSlot(index=index) for index in range(plan.jobs)]
        self._points = plan.points()
        self._failures_in_a_row = 0
        self._limit_s = trial_limit_s(plan.experiment)
        self._most_epochs = most_epochs(plan.experiment)
        self._judges = not isinstance(self.tune.pruner, NoPruner)
        self._pruner = samplers.pruner(self.tune, self._most_epochs * (self.tune.folds or 1))
        self._optuna_study = study.optuna_study(
            sampler=optuna.samplers.RandomSampler(), pruner=self._pruner
        )
        """For the pruner, which reads the storage anew each time, and for telling; its sampler is
        never asked.
        """
        self._last_heartbeat = 0.0

    def run(self) -> None:
        """Until every trial is done, here or elsewhere, or there is a reason to stop.

        Raises:
            RuntimeFailure: the runtime does not even start; no trial is spent on that.
            KeyboardInterrupt: the trials under way wait for a resume.
        """
        for number in self.study.reclaim_lost():
            self.watcher.say(
                f"trial {number} was cut off by the end of its process; it is trained again"
            )
        try:
            while self._fill_slots():
                self._listen()
        finally:
            for slot in self._slots:
                slot.close_worker(politely=slot.trial is None)
            # After that, since the storage may be what has failed.
            for slot in self._slots:
                if slot.trial is not None:
                    self.study.release(slot.trial.number)

    def _fill_slots(self) -> bool:
        """Gives idle workers their next trials; False when nothing is left to wait for."""
        if self.end is not None and self.clock() >= self.end:
            self.stopped = "tune.timeout has passed"
            return False
        for slot in self._slots:
            # A trial may fail before it trains, and leave the slot free for the next one.
            while slot.trial is None and self.stopped is None:
                taken = self.study.take_next(self._points)
                if taken is None:
                    break
                self._begin(slot, taken)
        if any(slot.trial is not None for slot in self._slots):
            return True
        # In a database other processes may die and leave trials to this one.
        return self.stopped is None and self.study.shared and self._others_train()

    def _others_train(self) -> bool:
        """Whether other processes still train; those that have died give their trials back."""
        self.study.reclaim_lost()
        unfinished = self.study.trials(TrialState.RUNNING, TrialState.WAITING)
        done = len(self.study.trials()) - len(unfinished)
        return done < len(self._points) and bool(unfinished)

    def _begin(self, slot: WorkerSlot, taken: FrozenTrial) -> None:
        """Proposes a trial that was taken, and begins to train it."""
        begun = self.clock()
        params = self.plan.propose(self.study, self.tune, taken.number)
        slot.trial = RunningTrial(
            number=taken.number,
            params=params,
            begun=begun,
            deadline=begun + self._limit_s,
            outcome=Outcome(runtime=self.plan.runtime),
        )
        self.watcher.trial_started(self.plan.runtime, taken.number, params)
        try:
            slot.trial.jobs = trial_jobs(
                experiment_of(self.plan.experiment, params),
                self.plan.runtime,
                self.plan.threads,
                self.plan.data,
                folds=self.tune.folds,
            )
        except (ConfigError, DataError) as error:
            # Each bound was checked alone with the file's values; two together may not go.
            message = error.problems[0].message if isinstance(error, ConfigError) else str(error)
            self._fail(slot, "failed", f"no valid experiment: {message}")
            return
        self._train(slot)

    def _train(self, slot: WorkerSlot) -> None:
        """Begins the trial's next training: its only one, or its next fold."""
        trial = slot.running
        if slot.worker is None:
            slot.worker = self._start_worker(slot.index)
        trial.outcome = Outcome(runtime=self.plan.runtime, imported=slot.worker.imported)
        request = TrialRequest(
            job=trial.job.job,
            data=trial.job.data,
            judged=self._judges,
            parts=evaluated_parts(self.tune),
        )
        slot.worker.begin(self.plan.work / f"slot-{slot.index}", request)

    def _start_worker(self, index: int) -> TrialWorker:
        return TrialWorker(
            self.plan.runtime,
            threads=self.plan.threads,
            device=self.plan.experiment.measure.device,
            home=self.plan.work,
            log=self.plan.logs / f"{file_name(self.plan.runtime)}-{index}.log",
        )

    def _listen(self) -> None:
        """Waits until somebody says something or a time has come, and sees to it."""
        training = [slot for slot in self._slots if slot.trial is not None]
        workers = [slot.worker for slot in training if slot.worker is not None]
        heard = ready(workers, self._seconds_until_something_is_due(training))
        # Before the messages: each may take a while, and others watch this process.
        self._send_heartbeats(training)
        for slot in training:
            if slot.worker in heard:
                assert slot.worker is not None, "it was heard"
                self._hear(slot, slot.worker)
        for slot in training:
            # A trial may just have ended, and the next one not begun.
            if slot.trial is not None and self.clock() >= slot.trial.deadline:
                slot.close_worker()
                self._fail(slot, "timed out", f"no result within {self._limit_s:g} s")

    def _seconds_until_something_is_due(self, training: Sequence[WorkerSlot]) -> float | None:
        """How long workers may be silent; None: for ever."""
        times = [slot.running.deadline for slot in training]
        if self.end is not None:
            times.append(self.end)
        if self.study.heartbeat_s is not None:
            times.append(self.clock() + self.study.heartbeat_s)
        return max(0.0, min(times) - self.clock()) if times else None

    def _send_heartbeats(self, training: Sequence[WorkerSlot]) -> None:
        """Says to other processes that the trials under way are alive, now and then."""
        interval_s = self.study.heartbeat_s
        if interval_s is None or self.clock() - self._last_heartbeat < interval_s / 2:
            return
        self._last_heartbeat = self.clock()
        self.study.record_heartbeats([slot.running.number for slot in training])

    def _hear(self, slot: WorkerSlot, worker: TrialWorker) -> None:
        """Sees to one message of a worker that trains."""
        trial = slot.running
        try:
            message = worker.receive()
        except RuntimeFailure as failure:
            self._worker_died(slot, worker, failure)
            return
        if isinstance(message, End):
            # The last word of the process, where the end of the trial was expected.
            self._worker_died(slot, worker, Failed(message.reason or "the worker ended"))
            return
        trial.outcome.take(message)
        # What else a worker says is kept in the outcome, and needs no answer.
        if isinstance(message, TrialEnd):
            self._training_ended(slot)
        elif isinstance(message, EpochEnd):
            self._epoch_ended(trial, worker, message.figures)

    def _worker_died(self, slot: WorkerSlot, worker: TrialWorker, failure: RuntimeFailure) -> None:
        """A worker's process has ended, and the trial with it.

        Raises:
            Failed: it had not even imported its framework, which is no trial's fault.
        """
        tail = worker.process.tail()
        slot.close_worker()
        if worker.imported is None:
            raise Failed(f"{self.plan.runtime} does not start: {failure}\n{tail}")
        self._fail(slot, failure.status, str(failure))

    def _epoch_ended(self, trial: RunningTrial, worker: TrialWorker, figures: Epoch) -> None:
        """Reports the goal after an epoch, and answers whether the trial goes on."""
        epochs = trial.job.job.experiment.train.epochs
        value = self._value_so_far(trial, figures)
        if value is not None:
            # Steps count the epochs of all folds.
            step = trial.fold * self._most_epochs + figures.epoch
            self.study.report(trial.number, step, value)
        self.watcher.trial_epoch(self.plan.runtime, trial.number, figures.epoch, epochs, value)
        # After its last epoch a worker waits for no answer: there is nothing left to stop.
        if self._judges and figures.epoch < epochs:
            worker.answer(stop=value is not None and self._is_hopeless(trial))

    def _value_so_far(self, trial: RunningTrial, figures: Epoch) -> float | None:
        """The goal after an epoch; None if nobody can judge by it."""
        goal = self.tune.metric[0].name
        if len(self.tune.metric) > 1 or goal not in BY_EPOCH:
            return None
        value: float | None = getattr(figures, goal)
        if value is None:
            return None
        # With folds the mean so far, over the finished ones and this one.
        before = [getattr(row.final, goal) for row in trial.rows]
        return float((sum(before) + value) / (len(before) + 1))

    def _is_hopeless(self, trial: RunningTrial) -> bool:
        """What the pruner says of the trial as it stands in the storage."""
        return bool(self._pruner.prune(self._optuna_study, self.study.trial(trial.number)))

    def _training_ended(self, slot: WorkerSlot) -> None:
        """One training has ended; the trial is done with its last fold, or at once if it went
        wrong.
        """
        trial = slot.running
        outcome = trial.outcome
        # A worker that holds too much is replaced, and so is one whose memory ran out: what a
        # failed allocation leaves behind is nobody's guess.
        if outcome.status == "out of memory" or (slot.worker is not None and slot.worker.full):
            slot.close_worker()
        if outcome.status == PRUNED:
            self._finish(slot, "pruned", PRUNED)
            return
        if outcome.status != "ok":
            self._fail(slot, outcome.status, outcome.reason)
            return
        job = trial.job
        trial.rows.append(runtime_row(job.job, outcome, job.examples))
        if measures_peak_memory(self.tune):
            slot.close_worker()
        if len(trial.rows) < len(trial.jobs):
            self._train(slot)
            return
        values = goal_values(trial.rows, self.tune)
        if isinstance(values, str):
            self._fail(slot, "diverged" if "finite" in values else "failed", values)
        else:
            self._finish(slot, "complete", "ok", values=values)

    def _fail(self, slot: WorkerSlot, status: str, reason: str | None) -> None:
        self._finish(slot, "failed", status, reason=reason)

    def _finish(
        self,
        slot: WorkerSlot,
        state: FinalState,
        status: str,
        *,
        reason: str | None = None,
        values: list[float] | None = None,
    ) -> None:
        """Ends the slot's trial: stores it, tells the watcher, and counts failures."""
        trial = slot.running
        slot.trial = None
        finished = FinishedTrial(
            number=trial.number,
            state=state,
            status=status,
            reason=reason,
            values=values,
            params=trial.params,
            rows=trial.rows,
            seconds=self.clock() - trial.begun,
        )
        attributes = user_attributes(finished, self.plan, epochs=trial.epochs_trained)
        if not finish_trial(self.study, self._optuna_study, finished, attributes):
            self.watcher.say(
                f"trial {finished.number} was given to another process in the meantime; this result"
                " is dropped"
            )
            return
        self.watcher.trial_done(self.plan.runtime, finished)
        if state != "failed":
            self._failures_in_a_row = 0
            return
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= self.tune.max_failures:
            self.stopped = (
                f"{self._failures_in_a_row} trials failed in a row (tune.max_failures), the last"
                f" one: {status}: {reason}"
            )
