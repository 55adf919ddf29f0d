"""What is searched and with what, and a trial under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from nncompare.config.space import grid_points
from nncompare.launch.trials import TrialWorker
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.spec.tune import DEFAULT_TRIALS, Tune
from nncompare.studies.tune import samplers
from nncompare.studies.tune.storage import Study
from nncompare.studies.tune.trial import DataStore, TrialJob
from nncompare.wire.outcome import Outcome

Propose = Callable[[Study, Tune, int], dict[str, Any]]


@dataclass(kw_only=True)
class SearchPlan:
    """What is searched and with what.

    Args:
        threads: of each worker.
        jobs: workers at the same time.
        work: a folder of this process alone.
        logs: where the workers' logs go.
        propose: fills a taken trial; where the sampler needs a framework, in a process of its own.
    """

    experiment: Experiment
    runtime: str
    threads: int
    jobs: int
    work: Path
    logs: Path
    data: DataStore
    propose: Propose = samplers.propose

    @property
    def tune(self) -> Tune:
        assert self.experiment.tune is not None, "a search has a tune section"
        return self.experiment.tune

    def points(self) -> list[dict[str, Any]]:
        """One for each trial: empty, or a point of the grid."""
        wanted = self.tune.trials
        if self.tune.sampler == "grid":
            points = list(grid_points(self.tune))
            return points if wanted is None else points[:wanted]
        return [{} for _ in range(DEFAULT_TRIALS if wanted is None else wanted)]


@dataclass(kw_only=True)
class RunningTrial:
    """A trial under way."""

    trial: FrozenTrial
    params: dict[str, Any]
    tasks: list[TrialJob]
    begun: float
    deadline: float
    outcome: Outcome
    rows: list[TrainedRuntime] = field(default_factory=list)
    overhead_s: float = 0.0


@dataclass
class WorkerSlot:
    index: int
    worker: TrialWorker | None = None
    under: RunningTrial | None = None
