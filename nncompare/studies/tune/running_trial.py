"""A trial under way, and the worker that trains it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nncompare.launch.trials import TrialWorker
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.studies.tune.plan import TrialJob
from nncompare.wire.outcome import Outcome


@dataclass(kw_only=True)
class RunningTrial:
    """A trial under way.

    Args:
        number: in its study, from 0.
        params: dotted path -> value, as Optuna stores it.
        jobs: its trainings: one, or one for each fold.
        begun: monotonic time when it was proposed.
        deadline: monotonic time when it fails.
        outcome: what the worker has said of the training that is under way.
        rows: one for each training that has ended well.
    """

    number: int
    params: dict[str, Any]
    jobs: list[TrialJob] = field(default_factory=list)
    begun: float
    deadline: float
    outcome: Outcome
    rows: list[TrainedRuntime] = field(default_factory=list)

    @property
    def fold(self) -> int:
        """Which of its trainings is under way, from 0."""
        return len(self.rows)

    @property
    def job(self) -> TrialJob:
        """The training that is under way."""
        return self.jobs[self.fold]

    @property
    def epochs_trained(self) -> int:
        """Epochs of all trainings that ended well; of a trial without one, those of the last."""
        finished = sum(len(row.history) for row in self.rows)
        return finished or len(self.outcome.history)


@dataclass(kw_only=True)
class WorkerSlot:
    """A place for one worker, and for the trial that it trains.

    Args:
        index: of the slot, from 0; its folder and log are named by it.
        worker: started when it is first needed; None after its process has ended.
        trial: None while nothing is trained.
    """

    index: int
    worker: TrialWorker | None = None
    trial: RunningTrial | None = None

    @property
    def running(self) -> RunningTrial:
        """The trial under way, where there must be one."""
        assert self.trial is not None, "a slot that trains"
        return self.trial

    def close_worker(self, *, politely: bool = False) -> None:
        """Ends the slot's process, if it has one; the next trial gets a new one."""
        # It may have died already, or never been needed.
        if self.worker is not None:
            self.worker.close(politely=politely)
            self.worker = None
