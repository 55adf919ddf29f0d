"""How far a training is compared that diverges, or in which rounding grows without bound; and how
that is measured.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompare.backends.base import Params
from nncompare.studies.verify import aligned
from nncompare.studies.verify.checks.distance import absolute
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.growth import Growth, in_doubt, sound_steps, until, with_growth
from nncompare.wire.observation import PERTURBATION, Observation
from nncompare.wire.outcome import Outcome
from tests.studies.verify.small import DENSE, check_of, context, pair


def trained(there: Context, start: Params, factor: float = 2.0) -> Observation:
    """A trajectory away from an unstable point: every weight, and so every difference, doubles in a
    step.
    """
    seen, weights, found = Observation(), dict(start), []
    for step in range(there.steps):
        found.append(1.0 + sum(float((value**2).sum()) for value in weights.values()))
        weights = {name: factor * value for name, value in weights.items()}
        if step + 1 in there.plan.checkpoints:
            seen.checkpoints[step + 1] = weights
    seen.losses, seen.logits = (
        {"": np.array(found)},
        {"": np.concatenate([w.ravel() for w in weights.values()])},
    )
    return seen


@pytest.fixture
def growing(tmp_path: Path) -> tuple[Context, Params, Observation, Growth]:
    there = context(DENSE, "float64", tmp_path, steps=40)
    start = {name: 1e-3 * value for name, value in there.probe.items()}
    right = trained(there, start)
    moved = {name: value + PERTURBATION * generator_like(value) for name, value in start.items()}
    return (
        there,
        start,
        right,
        Growth(observations={"torch": right}, perturbed={"torch": trained(there, moved)}),
    )


def generator_like(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(value.shape)


def test_tolerances_follow_the_growth_of_rounding(
    growing: tuple[Context, Params, Observation, Growth],
) -> None:
    _, _, _, growth = growing
    apart, _ = growth.tensor("dense_1.kernel", 40)
    assert apart > 1e-4 > growth.tensor("dense_1.kernel", 5)[0], "2**40 perturbations"
    at_five = growth.tensor("dense_1.kernel", 5)[0]
    checks = [
        pair("weights", "dense_1.kernel", 5, 9 * at_five, tolerance=0.0),
        pair("weights", "dense_1.kernel", 5, 11 * at_five, tolerance=0.0),
        pair("weights", "dense_1.kernel", 5, 1e-11),
    ]
    assert [check.passed for check in with_growth(checks, growth, growth.comparable_steps())] == [
        True,
        False,
        True,
    ]


def test_what_rounding_has_lost_is_not_compared_but_formulas_are(
    growing: tuple[Context, Params, Observation, Growth],
) -> None:
    _, _, _, growth = growing
    lost = pair("weights", "dense_1.kernel", 40, 1.0)
    by_formula = replace(lost, against="formula", quantity=Quantity("loss, every step"))
    assert with_growth([lost, by_formula], growth, 30) == [by_formula]


def test_a_stable_training_lends_no_room(
    growing: tuple[Context, Params, Observation, Growth],
) -> None:
    _, _, right, _ = growing
    stable = Growth(observations={"torch": right}, perturbed={"torch": right})
    assert stable.comparable_steps() == 40
    assert stable.logits() == 0.0
    check = pair("weights", "dense_1.kernel", 40, 1e-7)
    assert with_growth([check], stable, 40) == [check]
    assert "faster than usual" in stable.in_words()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_nothing_is_compared_after_divergence(value: float) -> None:
    losses = np.array([2.0, 3.0, 50.0, value, 1.0])
    assert sound_steps({"torch": Observation(losses={"": losses})}, 5) == 2
    assert sound_steps({"torch": Observation(losses={"": losses[:3]})}, 5) == 5
    checks = [pair("loss, every step", None, step, np.inf) for step in (1, 2, 3)]
    assert [check.step for check in until(checks, 2)] == [1, 2]
    formula = replace(checks[2], against="formula", quantity=Quantity("update"))
    assert until([formula], 2) == [formula]


def test_only_the_trajectory_is_in_doubt() -> None:
    late = pair("weights", "dense_1.kernel", 40, 1.0)
    assert in_doubt([late, pair("gradient", "dense_1.kernel", 1, 0.0)])
    assert not in_doubt([late, replace(late, against="formula", quantity=Quantity("update"))])
    assert not in_doubt([late, replace(late, quantity=Quantity("gradient"))])
    assert not in_doubt([replace(late, worst=0.0)])


@pytest.mark.parametrize("planted", [False, True])
def test_runtimes_that_part_late_are_measured(
    planted: bool,
    growing: tuple[Context, Params, Observation, Growth],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rounding that doubles every step certifies; a mistake of a millionth does not, in the same
    training.
    """
    there, start, right, growth = growing
    check = check_of(DENSE, tmp_path, steps=40)
    moved = {name: value * (1 + 2e-15) for name, value in start.items()}
    factor = 2.0 * (1 + 1e-6) if planted else 2.0
    other = trained(there, moved, factor)
    perturbed = {
        name: value + PERTURBATION * generator_like(value) for name, value in moved.items()
    }
    of = {"torch": growth.perturbed["torch"], "tensorflow": trained(there, perturbed, factor)}
    check.observations["float64"] = {"torch": right, "tensorflow": other}
    checks = [
        pair(
            "weights",
            name,
            mark,
            absolute(other.checkpoints[mark][name], right.checkpoints[mark][name]),
        )
        for mark in there.plan.checkpoints
        for name in there.trained
    ]
    check.checks["float64"] = checks
    assert in_doubt(checks)
    monkeypatch.setattr(
        aligned,
        "check_all",
        # a generator, as the real one is
        lambda tasks, **_: (
            (task, Outcome(runtime=task.job.runtime, status="ok")) for task in tasks
        ),
    )
    monkeypatch.setattr(aligned, "read", lambda folder: of[folder.name])
    check._follow_growth(parallel=1)
    assert all(one.passed for one in check.checks["float64"]) == (not planted)
    assert check.limit is not None
    assert "rounding grows" in check.limit.reason
