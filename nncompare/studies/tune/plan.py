"""What one search searches, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nncompare.config.space import grid_points
from nncompare.spec.experiment import Experiment
from nncompare.spec.tune import DEFAULT_TRIALS, Tune
from nncompare.studies.tune import samplers
from nncompare.studies.tune.data_store import DataStore
from nncompare.studies.tune.stored_study import StoredStudy

Propose = Callable[[StoredStudy, Tune, int], dict[str, Any]]
"""Study, section and a taken trial's number -> its parameters, which stand in the storage then."""


@dataclass(kw_only=True)
class SearchPlan:
    """What is searched and with what.

    Args:
        runtime: that trains all trials.
        threads: of each worker.
        jobs: workers at the same time.
        work: a folder of this process alone.
        logs: where the workers' logs go.
        data: the arrays of all trials.
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
        """The section that the search goes by."""
        assert self.experiment.tune is not None, "a search has a tune section"
        return self.experiment.tune

    def points(self) -> list[dict[str, Any]]:
        """What is decided before any trial is proposed, one mapping a trial: a point of the grid,
        or nothing.
        """
        wanted = self.tune.trials
        if self.tune.sampler == "grid":
            points = list(grid_points(self.tune))
            return points if wanted is None else points[:wanted]
        count = DEFAULT_TRIALS if wanted is None else wanted
        return [{} for _ in range(count)]
