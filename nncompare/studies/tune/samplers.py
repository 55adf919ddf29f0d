"""Samplers, pruners and distributions from ``tune:``.

Trial k is drawn by a fresh sampler whose seed is made of the search's seed and k. So what a trial
proposes depends on the trials before it and on nothing that a killed process could have taken
along: a resumed search goes on as the first one would have.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import Any, assert_never

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from nncompare.config.space import all_values, stored_choice
from nncompare.spec import tune as spec
from nncompare.spec.tune import Dimension, Tune
from nncompare.studies.tune.cma_es import CmaEsSampler
from nncompare.studies.tune.stored_study import StoredStudy


def seed_of(tune: Tune, number: int) -> int:
    """The seed of one trial, 32 bits."""
    digest = hashlib.blake2b(f"{tune.seed}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def distribution(dimension: Dimension, *, grid: bool = False) -> BaseDistribution:
    """Optuna's description of one parameter; on a grid every one is a choice among its points."""
    if grid or dimension.choices is not None:
        values = all_values(dimension) or ()
        return CategoricalDistribution([stored_choice(value) for value in values])
    low, high = dimension.bounds
    step = dimension.step
    # A size of 64.0 would be no valid experiment.
    if dimension.whole:
        return IntDistribution(int(low), int(high), log=dimension.log, step=int(step or 1))
    return FloatDistribution(low, high, log=dimension.log, step=step)


def distributions(tune: Tune) -> dict[str, BaseDistribution]:
    """Dotted path -> distribution."""
    return {
        name: distribution(item, grid=tune.sampler == "grid")
        for name, item in tune.parameters.items()
    }


def sampler(tune: Tune, number: int, study: StoredStudy) -> BaseSampler:
    """The sampler of one trial. A grid's trials carry their points already.

    Args:
        study: that holds the trial.
    """
    seed = seed_of(tune, number)
    startup = tune.startup_trials
    match tune.sampler:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        case "cmaes":
            return CmaEsSampler(study, seed=seed, startup_trials=max(1, startup))
        case "gp":
            return optuna.samplers.GPSampler(
                seed=seed, n_startup_trials=startup, warn_independent_sampling=False
            )
        case "qmc":
            # The sequence itself must be the same for every trial.
            return optuna.samplers.QMCSampler(
                seed=tune.seed,
                scramble=True,
                independent_sampler=optuna.samplers.RandomSampler(seed),
                warn_independent_sampling=False,
                warn_asynchronous_seeding=False,
            )
        case "nsga2":
            # Several generations even of a small search.
            fifth = (tune.trials or spec.DEFAULT_TRIALS) // 5
            population = max(4, min(50, fifth))
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=population)
        case "random" | "grid":
            return optuna.samplers.RandomSampler(seed)
        case _:
            assert_never(tune.sampler)


def pruner(tune: Tune, epochs: int) -> BasePruner:
    """Who judges after every epoch; epochs count from 1.

    Args:
        epochs: the most that a trial may take, over all folds.
    """
    with warnings.catch_warnings():
        # Optuna warns that two of them are experimental.
        warnings.simplefilter("ignore")
        match tune.pruner:
            case spec.MedianPruner(startup_trials=startup, warmup_epochs=warmup):
                # Optuna counts steps from 0, and a trial of one epoch is at step 1.
                return optuna.pruners.MedianPruner(
                    n_startup_trials=startup, n_warmup_steps=warmup + 1
                )
            case spec.HyperbandPruner(min_epochs=least, reduction_factor=factor):
                # The first rung cannot lie behind the last epoch.
                return optuna.pruners.HyperbandPruner(
                    min_resource=min(least, epochs), max_resource=epochs, reduction_factor=factor
                )
            case spec.HalvingPruner(min_epochs=least, reduction_factor=factor):
                return optuna.pruners.SuccessiveHalvingPruner(
                    min_resource=least, reduction_factor=factor
                )
            case spec.PatientPruner(patience=patience, min_delta=delta):
                # None: no other pruner is asked; patience alone decides.
                return optuna.pruners.PatientPruner(None, patience=patience, min_delta=delta)
            case spec.NoPruner():
                return optuna.pruners.NopPruner()
            case _:
                assert_never(tune.pruner)


def propose(study: StoredStudy, tune: Tune, number: int) -> dict[str, Any]:
    """Draws what a taken trial has not got yet and writes it to the storage.

    Args:
        study: that holds the trial.
        number: of the trial, which runs.

    Returns:
        Dotted path -> value, as Optuna stores it.
    """
    with warnings.catch_warnings():
        # Optuna warns of samplers that it calls experimental.
        warnings.simplefilter("ignore")
        view = study.optuna_study(sampler=sampler(tune, number, study))
        # Optuna's cache of a database knows only trials that it has listed.
        view.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        trial = optuna.trial.Trial(view, study.trial_id(number))
        for name, kind in distributions(tune).items():
            _suggest(trial, name, kind)
    return dict(trial.params)


def _suggest(trial: optuna.trial.Trial, name: str, kind: BaseDistribution) -> None:
    match kind:
        case CategoricalDistribution(choices=choices):
            trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            trial.suggest_float(name, low, high, step=step, log=log)
        case _:
            raise AssertionError(f"{name}: no distribution of ours: {kind!r}")
