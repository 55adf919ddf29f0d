from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from nncompare.numerics.metrics import evaluate

STREAM = np.random.default_rng(1)


def test_classification_agrees_with_scikit_learn() -> None:
    logits, targets = STREAM.normal(size=(200, 5)), STREAM.integers(0, 5, 200).astype(np.int32)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = evaluate("classification", logits, targets)
    assert found == {
        "loss": pytest.approx(sk.log_loss(targets, chances, labels=range(5)), rel=1e-12),
        "accuracy": sk.accuracy_score(targets, logits.argmax(axis=1)),
    }


def test_classification_per_step_counts_every_step() -> None:
    logits, targets = STREAM.normal(size=(20, 6, 3)), STREAM.integers(0, 3, (20, 6))
    flat = evaluate("classification", logits.reshape(-1, 3), targets.reshape(-1))
    assert evaluate("classification", logits, targets) == pytest.approx(flat)


def test_binary_agrees_with_scikit_learn() -> None:
    logits, targets = STREAM.normal(size=(200, 1)), STREAM.integers(0, 2, (200, 1)).astype(float)
    found = evaluate("binary", logits, targets)
    assert found["loss"] == pytest.approx(
        sk.log_loss(targets, 1 / (1 + np.exp(-logits))), rel=1e-12
    )
    assert found["accuracy"] == sk.accuracy_score(targets, logits > 0)


def test_binary_threshold_is_zero_on_the_logit() -> None:
    found = evaluate("binary", np.array([[0.2], [-0.2], [0.0]]), np.array([[1.0], [0.0], [0.0]]))
    assert found["accuracy"] == 1.0


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_agrees_with_scikit_learn(outputs: int) -> None:
    y = STREAM.normal(size=(100, outputs)) * np.arange(1, outputs + 1)
    predicted = y + STREAM.normal(size=y.shape)
    found = evaluate("regression", predicted, y)
    assert found["loss"] == pytest.approx(sk.mean_squared_error(y, predicted), rel=1e-12)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(y, predicted), rel=1e-12)
    assert found["r2"] == pytest.approx(sk.r2_score(y, predicted), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1])
def test_constant_targets_have_no_r2(value: float) -> None:
    found = evaluate("regression", np.ones((7, 1)), np.full((7, 1), value))
    assert found["r2"] is None
    assert found["mae"] == pytest.approx(abs(1 - value))


def test_one_example_has_no_r2() -> None:
    assert evaluate("regression", np.array([[1.0]]), np.array([[3.0]])) == {
        "loss": 4.0,
        "mae": 2.0,
        "r2": None,
    }


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_give_none(wrong: float) -> None:
    y = np.array([[1.0], [0.0]])
    assert evaluate("regression", np.array([[wrong], [0.0]]), y) == {
        "loss": None,
        "mae": None,
        "r2": None,
    }
    logits, targets = np.array([[wrong, 0.0], [1.0, 0.0]]), np.array([0, 1])
    found = evaluate("classification", logits, targets)
    assert found["accuracy"] is None
    assert found["loss"] is None


@pytest.mark.parametrize(
    ("task", "outputs", "targets", "keys"),
    [
        ("classification", (0, 3), (0,), {"loss", "accuracy"}),
        ("binary", (0, 1), (0, 1), {"loss", "accuracy"}),
        ("regression", (0, 2), (0, 2), {"loss", "mae", "r2"}),
    ],
)
def test_no_examples_no_figures(task: Any, outputs: Any, targets: Any, keys: set[str]) -> None:
    assert evaluate(task, np.zeros(outputs), np.zeros(targets)) == dict.fromkeys(keys)


def test_float32_outputs_are_judged_in_float64() -> None:
    outputs = np.full((1000, 1), 1 / 3, np.float32)
    targets = np.zeros((1000, 1), np.float32)
    targets[0] = 1
    assert evaluate("regression", outputs, targets)["mae"] == pytest.approx(
        (999 * float(np.float32(1 / 3)) + 1 - float(np.float32(1 / 3))) / 1000, rel=1e-13
    )
