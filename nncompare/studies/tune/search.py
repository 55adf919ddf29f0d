"""One search of one runtime: ask, train, judge, tell, until the trials asked for are done.

The parent blocks in one place (``_listen``) until a worker says something or a time has come; it
never polls, since it would take the processors that the trials train on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from nncompare.errors import ConfigError, DataError, Failed, RuntimeFailure
from nncompare.launch.trials import TrialWorker, ready
from nncompare.records.rows import runtime_row
from nncompare.spec.tune import BY_EPOCH, NoPruner, Tune
from nncompare.studies.tune import samplers
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.running_trial import RunningTrial, WorkerSlot
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.studies.tune.trial import FinalState, FinishedTrial, goal_values
from nncompare.studies.tune.trial_attributes import finish_trial, user_attributes
from nncompare.studies.tune.watcher import Watcher
from nncompare.wire.figures import Epoch
from nncompare.wire.messages import PRUNED, End, EpochEnd, TrialEnd
from nncompare.wire.outcome import Outcome

Propose = Callable[[StoredStudy, Tune, int], dict[str, Any]]
"""Study, section and a taken trial's number -> its parameters, which stand in the storage then."""


class Search:
    """Runs a plan on one runtime.

    Args:
        plan: what is searched.
        runtime: that trains all trials.
        study: where the trials are kept.
        watcher: told of everything as it happens.
        propose: fills a taken trial; where the sampler needs a framework, in a process of its own.
        end: monotonic time after which nothing is started any more; None: none.
    """

    def __init__(
        self,
        plan: SearchPlan,
        runtime: str,
        study: StoredStudy,
        watcher: Watcher,
        propose: Propose,
        *,
        end: float | None = None,
    ):
        self.plan = plan
        self.runtime = runtime
        self.tune = plan.tune
        self.study = study
        self.watcher = watcher
        self.propose = propose
        self.end = end
        self._stopped: str | None = None
        self._slots = [WorkerSlot(index=index) for index in range(plan.options.jobs)]
        self._failures_in_a_row = 0
        self._judges = not isinstance(self.tune.pruner, NoPruner)
        self._pruner = samplers.pruner(self.tune, plan.most_epochs * (self.tune.folds or 1))
        self._optuna_study = study.optuna_study(pruner=self._pruner)
        """For the pruner, which reads the storage anew each time, and for telling; its sampler is
        never asked.
        """
        self._last_heartbeat = 0.0

    def run(self) -> str | None:
        """Until every trial is done, here or elsewhere, or there is a reason to stop.

        Returns:
            Why it ended before all trials were done, or None.

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
        return self._stopped

    def _fill_slots(self) -> bool:
        """Gives idle workers their next trials; False when nothing is left to wait for."""
        if self.end is not None and time.monotonic() >= self.end:
            self._stopped = "tune.timeout has passed"
            return False
        for slot in self._slots:
            # A trial may fail before it trains, and leave the slot free for the next one.
            while slot.trial is None and self._stopped is None:
                taken = self.study.take_next(self.plan.points)
                if taken is None:
                    break
                self._begin(slot, taken)
        if any(slot.trial is not None for slot in self._slots):
            return True
        # In a database other processes may die and leave trials to this one.
        return self._stopped is None and self.study.database is not None and self._others_train()

    def _others_train(self) -> bool:
        """Whether other processes still train; those that have died give their trials back."""
        self.study.reclaim_lost()
        unfinished = self.study.trials(TrialState.RUNNING, TrialState.WAITING)
        done = len(self.study.trials()) - len(unfinished)
        return done < len(self.plan.points) and bool(unfinished)

    def _begin(self, slot: WorkerSlot, taken: FrozenTrial) -> None:
        """Proposes a trial that was taken, and begins to train it."""
        begun = time.monotonic()
        params = self.propose(self.study, self.tune, taken.number)
        slot.trial = RunningTrial(
            number=taken.number,
            params=params,
            begun=begun,
            deadline=begun + self.plan.limit_s,
            outcome=Outcome(runtime=self.runtime),
        )
        self.watcher.trial_started(self.runtime, taken.number, params)
        try:
            experiment = self.plan.experiment_of(params)
            slot.trial.jobs = self.plan.trial_jobs(experiment, self.runtime, folds=self.tune.folds)
        except (ConfigError, DataError) as error:
            # Each bound was checked alone with the file's values; two together may not go.
            message = error.problems[0].message if isinstance(error, ConfigError) else str(error)
            self._fail(slot, "failed", f"no valid experiment: {message}")
            return
        self._train(slot)

    def _train(self, slot: WorkerSlot) -> None:
        """Begins the trial's next training: its only one, or its next fold."""
        trial = slot.running
        # A worker is kept from trial to trial, with its framework imported.
        if slot.worker is None:
            slot.worker = self.plan.start_worker(self.runtime, str(slot.index))
        trial.outcome = Outcome(runtime=self.runtime, imported=slot.worker.imported)
        request = self.plan.request(trial.job, judged=self._judges)
        slot.worker.begin(self.plan.work / f"slot-{slot.index}", request)

    def _listen(self) -> None:
        """Waits until somebody says something or a time has come, and sees to it."""
        training = [slot for slot in self._slots if slot.trial is not None]
        workers = [slot.worker for slot in training if slot.worker is not None]
        heard = ready(workers, self._seconds_until_something_is_due(training))
        # Before the messages: each may take a while, and others watch this process.
        self._send_heartbeats(training)
        for slot in training:
            if slot.worker is not None and slot.worker in heard:
                self._hear(slot, slot.worker)
        for slot in training:
            # A trial may just have ended, and the next one not begun.
            if slot.trial is not None and time.monotonic() >= slot.trial.deadline:
                slot.close_worker()
                self._fail(slot, "timed out", f"no result within {self.plan.limit_s:g} s")

    def _seconds_until_something_is_due(self, training: Sequence[WorkerSlot]) -> float:
        """How long workers may be silent: to a trial's limit, the search's end or a heartbeat."""
        times = [slot.running.deadline for slot in training]
        if self.end is not None:
            times.append(self.end)
        if self.study.heartbeat_s is not None:
            times.append(time.monotonic() + self.study.heartbeat_s)
        return max(0.0, min(times) - time.monotonic())

    def _send_heartbeats(self, training: Sequence[WorkerSlot]) -> None:
        """Says to other processes that the trials under way are alive, now and then."""
        interval_s = self.study.heartbeat_s
        # Nobody else can see a journal.
        if interval_s is None or time.monotonic() - self._last_heartbeat < interval_s / 2:
            return
        self._last_heartbeat = time.monotonic()
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
        # It would happen to every trial.
        if worker.imported is None:
            raise Failed(f"{self.runtime} does not start: {failure}\n{tail}")
        self._fail(slot, failure.status, str(failure))

    def _epoch_ended(self, trial: RunningTrial, worker: TrialWorker, figures: Epoch) -> None:
        """Reports the goal after an epoch, and answers whether the trial goes on."""
        epochs = trial.job.job.experiment.train.epochs
        value = self._value_so_far(trial, figures)
        if value is not None:
            # Steps count the epochs of all folds.
            step = trial.fold * self.plan.most_epochs + figures.epoch
            self.study.report(trial.number, step, value)
        self.watcher.trial_epoch(self.runtime, trial.number, figures.epoch, epochs, value)
        # After its last epoch a worker waits for no answer: there is nothing left to stop.
        if self._judges and figures.epoch < epochs:
            hopeless = value is not None and self._pruner.prune(
                self._optuna_study, self.study.trial(trial.number)
            )
            worker.answer(stop=bool(hopeless))

    def _value_so_far(self, trial: RunningTrial, figures: Epoch) -> float | None:
        """The goal after an epoch; None if nobody can judge by it."""
        goal = self.tune.metric[0].name
        # Several goals have no order, and most figures are known at the end only.
        if len(self.tune.metric) > 1 or goal not in BY_EPOCH:
            return None
        value: float | None = getattr(figures, goal)
        if value is None:
            return None
        # With folds the mean so far, over the finished ones and this one.
        values = [*(getattr(row.final, goal) for row in trial.rows), value]
        return float(sum(values) / len(values))

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
        # A peak is that of the whole process, with all its trials.
        if self.plan.fresh_processes:
            slot.close_worker()
        # The trial is not done before its last fold.
        if len(trial.rows) < len(trial.jobs):
            self._train(slot)
            return
        try:
            values = goal_values(trial.rows, self.tune)
        except RuntimeFailure as failure:
            self._fail(slot, failure.status, str(failure))
            return
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
            seconds=time.monotonic() - trial.begun,
            epochs=trial.epochs_trained,
        )
        attributes = user_attributes(finished, self.plan, self.runtime)
        if not finish_trial(self.study, self._optuna_study, finished, attributes):
            self.watcher.say(
                f"trial {trial.number} was given to another process in the meantime; this result is"
                " dropped"
            )
            return
        self.watcher.trial_done(self.runtime, finished)
        # Values that do not go together fail now and then; a wrong search fails again and again.
        if state != "failed":
            self._failures_in_a_row = 0
            return
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= self.tune.max_failures:
            self._stopped = (
                f"{self._failures_in_a_row} trials failed in a row (tune.max_failures), the last"
                f" one: {status}: {reason}"
            )
