"""The result of a search, as it is stored in ``result.json`` and printed by ``nncompare tune
--json``.

History of the format, newest first:

1. first version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Literal

from nncompare.records.record import ExperimentRecord, RecordPart

TrialState = Literal["complete", "pruned", "failed", "running", "waiting"]
Outcome = Literal["complete", "stopped", "interrupted", "running"]


class TuneGoal(RecordPart):
    name: str
    goal: Literal["minimize", "maximize"]

    @property
    def sign(self) -> int:
        """-1 where more is better, else 1: the best value has the least ``sign * value``."""
        return -1 if self.goal == "maximize" else 1


class TuneTrial(RecordPart):
    """One trial."""

    number: int
    runtime: str
    state: TrialState
    values: tuple[float, ...] | None = None
    """Of the goals, in their order; a pruned trial has the last value before it was stopped."""
    params: dict[str, Any] = {}
    """Dotted path -> value as the file would hold it."""
    intermediate: dict[str, float] = {}
    """Epoch (counted over all folds) -> the goal there."""
    reason: str | None = None
    """Why it failed."""
    status: str | None = None
    """``ok``, ``pruned``, or ``diverged``, ``out of memory``, ``timed out``, ``failed``."""
    seconds: float | None = None
    epochs: int | None = None
    metrics: dict[str, float] = {}
    """Everything that was measured, under dotted names."""

    @property
    def value(self) -> float:
        """Of the first goal, where the trial has values."""
        assert self.values, "a trial with values"
        return self.values[0]


class TuneBest(RecordPart):
    """The best trial of one search; with several goals the best by the first one."""

    trial: int
    runtime: str
    value: float
    values: tuple[float, ...]
    params: dict[str, Any]


class TuneConfirmed(RecordPart):
    """One repetition of one of the best trials with a fresh seed."""

    rank: int
    """Of the trial in the search, from 1."""
    trial: int
    runtime: str
    seed: int
    status: str
    reason: str | None = None
    values: tuple[float, ...] | None = None


class TuneTransfer(RecordPart):
    """Means over the fresh seeds on one runtime: does the optimum hold there?"""

    runtime: str
    best_trial: int | None = None
    """The one with the best mean of the first goal."""
    holds: bool | None = None
    """Whether that is the search's best one, or one that cannot be told from it (within a standard
    error).
    """
    means: dict[str, float] = {}
    """Trial -> mean of the first goal."""
    errors: dict[str, float] = {}
    """Trial -> standard error of that mean."""


class TuneSearch(RecordPart):
    """One runtime's search."""

    runtime: str
    study: str
    """Its name in the storage."""
    requested: int
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    best: TuneBest | None = None
    pareto: tuple[int, ...] = ()
    """With several goals: the trials that no other beats in all of them."""
    importance: dict[str, float] = {}
    """Path -> share of the first goal's variance (fANOVA); empty where it cannot be told."""
    importance_note: str | None = None
    stopped: str | None = None
    """Why it ended before all trials were done."""
    versions: dict[str, str] = {}
    """Package -> version, of the framework that trained."""


class TuneRecord(ExperimentRecord):
    """A whole search: the document of ``nncompare tune``."""

    kind: Literal["tune"] = "tune"
    outcome: Outcome = "running"
    per_backend: bool = False
    jobs: int = 1
    threads: int = 1
    """Of each worker."""
    storage: str = "study.journal"
    goals: tuple[TuneGoal, ...]
    best: TuneBest | None = None
    searches: tuple[TuneSearch, ...] = ()
    trials: tuple[TuneTrial, ...] = ()
    confirmation: tuple[TuneConfirmed, ...] = ()
    transfer: tuple[TuneTransfer, ...] = ()
    seconds: float | None = None

    def ranked(self, runtime: str) -> list[TuneTrial]:
        """The complete trials of one runtime that have values, from the best on."""
        found = []
        for trial in self.trials:
            if trial.runtime == runtime and trial.state == "complete" and trial.values:
                found.append(trial)
        return sorted(found, key=lambda trial: self.goals[0].sign * trial.value)

    @property
    def complete(self) -> bool:
        """Every trial was done and at least one of each search ended well."""
        return self.outcome == "complete" and all(
            search.best is not None for search in self.searches
        )

    @property
    def interrupted(self) -> bool:
        return self.outcome == "interrupted"


def all_keys(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every key that any of the mappings has, in the order in which they come."""
    return list(dict.fromkeys(chain.from_iterable(mappings)))
