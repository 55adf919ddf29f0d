"""What is searched and with what: the same for every runtime of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from nncompare.config.load import load_mapping, to_mapping
from nncompare.config.overrides import Override
from nncompare.config.space import file_values, grid_points
from nncompare.data import signature
from nncompare.data.base import Part
from nncompare.launch.trials import TrialWorker
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.runtimes import file_name
from nncompare.spec.tune import DEFAULT_TRIALS, Tune
from nncompare.studies.tune.data_store import DataStore
from nncompare.studies.tune.options import SearchOptions, threads_of
from nncompare.wire.requests import TrialRequest


def points(tune: Tune) -> list[dict[str, Any]]:
    """What is decided before any trial is proposed, one mapping a trial: a point of the grid, or
    nothing.
    """
    # A grid ends by itself; fewer trials are its first points.
    if tune.sampler == "grid":
        return list(islice(grid_points(tune), tune.trials))
    return [{} for _ in range(tune.trials or DEFAULT_TRIALS)]


def searched_runtimes(experiment: Experiment, options: SearchOptions) -> tuple[str, ...]:
    """All runtimes, or the first one, whose best trials are confirmed on all."""
    runtimes: tuple[str, ...] = experiment.backends
    return runtimes if options.per_backend else runtimes[:1]


@dataclass(kw_only=True)
class TrialJob:
    """One training of a trial: the whole trial, or one fold of it.

    Args:
        job: what the worker trains.
        data: the folder of its arrays.
        examples: in the training part.
    """

    job: Job
    data: Path
    examples: int


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What is searched and with what.

    Args:
        folder: with the journal and the logs.
        work: a folder of this process alone.
        data: the arrays of all trials.
    """

    experiment: Experiment
    options: SearchOptions
    folder: Path
    work: Path
    data: DataStore

    @property
    def tune(self) -> Tune:
        """The section that the search goes by."""
        assert self.experiment.tune is not None, "a search has a tune section"
        return self.experiment.tune

    @property
    def threads(self) -> int:
        """Of each worker."""
        return threads_of(self.experiment, self.options.jobs)

    @property
    def logs(self) -> Path:
        """Where the workers' logs go."""
        return self.folder / "logs"

    @property
    def runtimes(self) -> tuple[str, ...]:
        """Those that are searched."""
        return searched_runtimes(self.experiment, self.options)

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """One mapping for each trial of one runtime, see ``points``."""
        return points(self.tune)

    @property
    def limit_s(self) -> float:
        """Longest time of one trial in seconds."""
        return self.tune.trial_timeout or self.experiment.measure.timeout_s

    @property
    def most_epochs(self) -> int:
        """The most that one training may take."""
        found = [self.experiment.train.epochs]
        dimension = self.tune.parameters.get("train.epochs")
        # The number of epochs may be searched itself.
        if dimension is not None:
            options = dimension.choices or (dimension.max,)
            found += [item for item in options if isinstance(item, int)]
        return max(found)

    @property
    def fresh_processes(self) -> bool:
        """Whether each training needs a process of its own: a peak is that of all its trials."""
        return any(goal.name == "peak_bytes" for goal in self.tune.metric)

    def experiment_of(self, params: Mapping[str, Any]) -> Experiment:
        """The experiment of one point of the search, without its ``tune`` and ``sweep``.

        Raises:
            ConfigError: the values do not go together (heads that do not divide a size).
        """
        mapping = to_mapping(self.experiment)
        # One training has nothing to search, and need not be checked for it.
        for section in ("tune", "sweep"):
            mapping.pop(section, None)
        values = file_values(self.tune, params)
        overrides = [Override.of(name, value, name) for name, value in values.items()]
        return load_mapping(mapping, overrides, signature_of=signature)

    def trial_jobs(
        self, experiment: Experiment, runtime: str, *, folds: int | None = None
    ) -> list[TrialJob]:
        """The trainings of one trial, in their order.

        Args:
            experiment: of the trial.

        Raises:
            DataError: the data cannot be had.
        """
        job = Job(
            runtime=runtime,
            experiment=experiment,
            signature=signature(experiment.data, experiment.task),
            device=experiment.measure.device,
            threads=self.threads,
            seed=experiment.train.seed,
        )
        found = []
        for index in range(folds or 1):
            folder, examples = self.data.get(experiment, folds=folds, fold=index)
            found.append(TrialJob(job=job, data=folder, examples=examples))
        return found

    def request(self, trial: TrialJob, *, judged: bool) -> TrialRequest:
        """What a worker is asked for one training."""
        parts: tuple[Part, ...] = ("validation",)
        # The training part takes time, and is evaluated only where a goal asks for it.
        if any(goal.name.startswith("train_") for goal in self.tune.metric):
            parts = ("train", "validation")
        return TrialRequest(job=trial.job, data=trial.data, judged=judged, parts=parts)

    def start_worker(self, runtime: str, name: str) -> TrialWorker:
        """A process that trains trials of one runtime.

        Args:
            name: tells its log from those of the runtime's other workers.
        """
        return TrialWorker(
            runtime,
            threads=self.threads,
            device=self.experiment.measure.device,
            home=self.work,
            log=self.logs / f"{file_name(runtime)}-{name}.log",
        )
