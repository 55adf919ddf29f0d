"""CMA-ES from the finished trials alone, against Optuna's own sampler, which stores a pickle."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from nncompare.spec.tune import Tune
from nncompare.studies.tune.cma_es import CmaEsSampler, UnitCube
from nncompare.studies.tune.samplers import seed_of
from nncompare.studies.tune.storage import open_journal
from nncompare.studies.tune.stored_study import StoredStudy

STARTUP = 5


def objective(trial: optuna.Trial) -> float:
    """A narrow valley, tilted against both axes, with a word that costs and a whole number."""
    rate = math.log10(trial.suggest_float("rate", 1e-5, 1e0, log=True))
    keep = trial.suggest_float("keep", 0.0, 1.0)
    size = trial.suggest_int("size", 8, 128)
    step = trial.suggest_float("step", 0.0, 1.0, step=0.125)
    width = trial.suggest_int("width", 1, 1000, log=True)
    word = trial.suggest_categorical("word", [0, 1])
    first = (rate + 2.5) - 2 * (keep - 0.7)
    second = (rate + 2.5) + (keep - 0.7)
    rest = (size / 100 - 0.4) ** 2 + (step - 0.5) ** 2 + (math.log10(width) - 2) ** 2
    return 10 * first**2 + second**2 + rest + 0.01 * word


def search(path: Path, seed: int, trials: int, *, ours: bool, sign: int = 1) -> StoredStudy:
    """Each trial is drawn by a fresh sampler, as in a search."""
    direction = "maximize" if sign < 0 else "minimize"
    stored = StoredStudy.open_or_create(open_journal(path), "s", [direction], {})
    tune = Tune.model_validate({"parameters": {"model.dropout": [0.1]}, "seed": seed})
    for _ in range(trials):
        taken = stored.take_next([{}] * trials)
        assert taken is not None
        number = taken.number
        kind: BaseSampler
        if ours:
            kind = CmaEsSampler(stored, seed=seed_of(tune, number), startup_trials=STARTUP)
        else:
            kind = optuna.samplers.CmaEsSampler(
                seed=seed_of(tune, number),
                n_startup_trials=STARTUP,
                warn_independent_sampling=False,
            )
        view = stored.optuna_study(sampler=kind)
        trial = optuna.trial.Trial(view, stored.trial_id(number))
        value = sign * objective(trial)
        # now and then one that fails or is stopped
        if number % 11 == 7:
            view.tell(number, state=TrialState.FAIL)
        else:
            view.tell(number, value)
    return stored


def params(study: StoredStudy) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials()]


@pytest.mark.parametrize("sign", [1, -1])
def test_it_proposes_what_optunas_sampler_proposes_trial_by_trial(
    tmp_path: Path, sign: int
) -> None:
    ours = search(tmp_path / "ours", 3, 40, ours=True, sign=sign)
    theirs = search(tmp_path / "theirs", 3, 40, ours=False, sign=sign)
    for own, other in zip(params(ours), params(theirs), strict=True):
        assert own == pytest.approx(other, rel=1e-9, abs=1e-12)
    # the test's own test: theirs learns beyond the first generation, and by a pickle
    assert any("cma:optimizer:0" in trial.system_attrs for trial in theirs.trials())
    assert "optimizer" not in (tmp_path / "ours").read_text()


@pytest.mark.slow
def test_it_finds_as_good_values_as_optunas_sampler_over_ten_seeds(tmp_path: Path) -> None:
    best: dict[bool, list[float]] = {True: [], False: []}
    for ours, found in best.items():
        for seed in range(10):
            study = search(tmp_path / f"{ours}-{seed}", seed, 150, ours=ours)
            found.append(min(trial.values[0] for trial in study.trials(TrialState.COMPLETE)))
    assert best[True] == pytest.approx(best[False], rel=1e-6)
    assert max(best[True]) < 0.2


def test_what_a_foreign_attribute_says_of_a_generation_is_a_number_or_nothing(
    tmp_path: Path,
) -> None:
    study = search(tmp_path / "s", 0, 12, ours=True)
    for trial in study.trials():
        found = trial.system_attrs.get("cma:generation")
        assert found is None or isinstance(found, int)
    taken = study.take_next([{}] * 13)
    assert taken is not None
    study.set_system_attribute(taken.number, "cma:generation", {"__reduce__": "os.system"})
    view = study.optuna_study(sampler=CmaEsSampler(study, seed=1, startup_trials=1))
    view.tell(taken.number, 0.5)
    assert view.ask().number == 13


def test_a_number_and_its_point_are_the_same_thing() -> None:
    cube = UnitCube(
        {
            "rate": FloatDistribution(1e-5, 1.0, log=True),
            "step": FloatDistribution(0.0, 1.0, step=0.25),
            "size": IntDistribution(8, 64, step=8),
            "width": IntDistribution(1, 1000, log=True),
        }
    )
    for point in (
        {"rate": 1e-5, "step": 0.0, "size": 8, "width": 1},
        {"rate": 1.0, "step": 1.0, "size": 64, "width": 1000},
        {"rate": 0.01, "step": 0.75, "size": 40, "width": 37},
    ):
        found = cube.params(cube.point(point))
        assert found == pytest.approx(point)
        assert [type(value) for value in found.values()] == [float, float, int, int]
