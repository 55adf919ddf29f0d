"""CMA-ES (Hansen, The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772) without a stored state.

Optuna's own sampler keeps its optimizer as a pickle in a trial's attributes and unpickles it at the
next trial. A pickle can run code, and a search is kept where others may write: in a folder that was
handed on, in a database that is shared. So here the optimizer is made anew for each trial and told
the finished generations again, which takes milliseconds. Trial by trial it proposes what Optuna's
sampler would have proposed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cmaes
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import intersection_search_space
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nncompare.studies.tune.stored_study import StoredStudy

GENERATION = "cma:generation"
"""The system attribute with the generation that a trial was drawn from, a whole number. Its name is
Optuna's.
"""
_SIGMA = 1 / 6
"""The first standard deviation, in units of each parameter's range."""

Numeric = FloatDistribution | IntDistribution


class CmaEsSampler(BaseSampler):
    """Proposes numbers by CMA-ES and everything else at random.

    Args:
        study: that holds the trial; its generation is written there.
        seed: of the trial.
        startup_trials: random trials before it begins to learn, at least 1.
    """

    def __init__(self, study: StoredStudy, *, seed: int, startup_trials: int):
        self._stored = study
        self._random = np.random.RandomState(seed)
        self._independent = RandomSampler(seed)
        self._startup_trials = startup_trials

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The numbers that all complete trials have."""
        found: dict[str, BaseDistribution] = {}
        for name, kind in intersection_search_space(self._complete()).items():
            # One value is no direction to search in.
            if isinstance(kind, (FloatDistribution, IntDistribution)) and not kind.single():
                found[name] = kind
        return found

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: Mapping[str, BaseDistribution],
    ) -> dict[str, Any]:
        """All numbers at once, drawn from the present generation."""
        complete = self._complete()
        if not search_space or len(complete) < self._startup_trials:
            return {}
        cube = UnitCube(search_space)
        # Optuna's sampler draws a number where it makes an optimizer, until the first one is kept.
        if all(_generation(done) < 1 for done in complete):
            self._random.randint(1, 2**31 - 2)
        sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
        optimizer = _told(cube, complete, sign)
        optimizer.reseed_rng(self._random.randint(1, 2**16) + trial.number)
        point = optimizer.ask()
        self._stored.set_system_attribute(trial.number, GENERATION, optimizer.generation)
        return cube.params(point)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A choice among words, and every number before there is a generation."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _complete(self) -> list[FrozenTrial]:
        """By their numbers. A pruned trial's value is one of an early epoch."""
        return self._stored.trials(TrialState.COMPLETE)


def _generation(trial: FrozenTrial) -> int:
    """That a complete trial was drawn from; -1 of a random one."""
    found = trial.system_attrs.get(GENERATION)
    return found if isinstance(found, int) else -1


def _told(cube: UnitCube, complete: Sequence[FrozenTrial], sign: int) -> cmaes.CMA:
    """The optimizer after every generation that is whole.

    Args:
        complete: by their numbers.
        sign: -1 where more is better.
    """
    count = len(cube.dimensions)
    optimizer = cmaes.CMA(
        mean=np.full(count, 0.5),
        sigma=_SIGMA,
        bounds=np.tile([0.0, 1.0], (count, 1)),
        n_max_resampling=10 * count,
        seed=0,
    )
    size = optimizer.population_size
    while True:
        own = [trial for trial in complete if _generation(trial) == optimizer.generation]
        # With several workers a generation may have more trials than are told.
        if len(own) < size:
            return optimizer
        solutions = [(cube.point(trial.params), sign * trial.values[0]) for trial in own[:size]]
        optimizer.tell(solutions)


class UnitCube:
    """Numeric parameters as points of [0, 1]^n, in which every step has the same room.

    Args:
        space: path -> distribution of a number.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]):
        self.dimensions: dict[str, Numeric] = {}
        for name, kind in space.items():
            assert isinstance(kind, (FloatDistribution, IntDistribution)), f"{name}: no number"
            self.dimensions[name] = kind

    def point(self, params: Mapping[str, Any]) -> NDArray[np.float64]:
        """The point of a trial's parameters, (n,)."""
        found = []
        for name, kind in self.dimensions.items():
            low, high = _edges(kind)
            found.append((_scaled(kind, params[name]) - low) / (high - low))
        return np.array(found)

    def params(self, point: NDArray[np.float64]) -> dict[str, Any]:
        """The parameters at a point, (n,); a number with steps is the nearest one."""
        found = {}
        for (name, kind), share in zip(self.dimensions.items(), point, strict=True):
            low, high = _edges(kind)
            found[name] = _value(kind, low + float(share) * (high - low))
        return found


def _edges(kind: Numeric) -> tuple[float, float]:
    """Both ends of a dimension. The first and the last step have half a step more room, so that
    they are drawn as often as the others.
    """
    half = 0.5 * kind.step if kind.step is not None else 0.0
    return _scaled(kind, kind.low - half), _scaled(kind, kind.high + half)


def _scaled(kind: Numeric, value: float) -> float:
    return math.log(value) if kind.log else float(value)


def _value(kind: Numeric, scaled: float) -> float | int:
    """The value of the parameter that is nearest to a place on its dimension."""
    value = math.exp(scaled) if kind.log else scaled
    # On a log scale whole numbers have a step of 1, and others none.
    if kind.step is not None:
        value = kind.low + kind.step * round((value - kind.low) / kind.step)
    value = min(max(value, kind.low), kind.high)
    return int(value) if isinstance(kind, IntDistribution) else value
