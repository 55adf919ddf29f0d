from __future__ import annotations

from math import cos, pi
from typing import Any

import numpy as np
import pytest

from nncompare.numerics.schedules import learning_rates, make_plan
from nncompare.spec.training import Train


def train(schedule: dict[str, Any], epochs: int = 3, **more: Any) -> Train:
    return Train.model_validate(
        {
            "epochs": epochs,
            "batch_size": 4,
            "optimizer": {"name": "sgd", "lr": 0.5},
            "schedule": schedule,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "constant"}, [0.5] * 6),
        ({"name": "step", "every": 2, "factor": 0.1}, [0.5] * 4 + [0.05] * 2),
        ({"name": "step", "every": 1, "factor": 0.5}, [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
        ({"name": "exponential", "factor": 0.5}, [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
        ({"name": "cosine"}, [0.25 * (1 + cos(pi * k / 6)) for k in range(6)]),
        ({"name": "cosine", "minimum": 0.1}, [0.1 + 0.2 * (1 + cos(pi * k / 6)) for k in range(6)]),
    ],
)
def test_closed_forms(schedule: dict[str, Any], expected: list[float]) -> None:
    rates = learning_rates(train(schedule), 2)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, expected, rtol=1e-15)


def test_warm_up_rises_to_the_schedule() -> None:
    plain = learning_rates(train({"name": "exponential", "factor": 0.5}), 2)
    warm = learning_rates(train({"name": "exponential", "factor": 0.5}, warmup_steps=4), 2)
    np.testing.assert_allclose(warm, plain * [1 / 4, 2 / 4, 3 / 4, 1, 1, 1], rtol=1e-15)


def test_warm_up_longer_than_training_never_ends() -> None:
    rates = learning_rates(train({"name": "constant"}, warmup_steps=12), 2)
    np.testing.assert_allclose(rates, 0.5 * np.arange(1, 7) / 12, rtol=1e-15)


def test_one_step_of_warm_up_changes_nothing() -> None:
    assert np.array_equal(
        learning_rates(train({"name": "cosine"}, warmup_steps=1), 2),
        learning_rates(train({"name": "cosine"}), 2),
    )


def test_plan_covers_every_example_once_an_epoch() -> None:
    plan = make_plan(train({"name": "constant"}), 10, 3)
    assert (plan.steps_per_epoch, plan.steps, plan.learning_rate.shape) == (3, 9, (9,))
    for epoch in range(3):
        rows = np.concatenate([plan.rows(step) for step in range(3 * epoch, 3 * epoch + 3)])
        assert sorted(rows.tolist()) == list(range(10))
    assert plan.sizes(0, 9).tolist() == [4, 4, 2] * 3
    assert plan.order(0).tolist() != plan.order(1).tolist()


def test_plan_repeats_with_its_seed() -> None:
    plans = [make_plan(train({"name": "constant"}), 50, seed) for seed in (3, 3, 4)]
    orders = [plan.order(1).tolist() for plan in plans]
    assert orders[0] == orders[1] != orders[2]


def test_mean_loss_weighs_by_examples() -> None:
    plan = make_plan(train({"name": "constant"}), 10, 0)
    assert plan.mean_loss(0, 3, np.array([1.0, 2.0, 6.0])) == pytest.approx(
        (4 * 1 + 4 * 2 + 2 * 6) / 10
    )
