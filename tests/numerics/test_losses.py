from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
import pytest

from nncompare.numerics import losses
from nncompare.numerics.differences import gradient
from nncompare.spec.layers import TensorSpec
from nncompare.spec.layers.linear import Dense, Embedding
from nncompare.spec.layers.normalization import BatchNorm
from nncompare.spec.layers.recurrent import Lstm
from nncompare.spec.layers.structure import Flatten
from nncompare.spec.model import resolve

STREAM = np.random.default_rng(0)


def test_softmax_cross_entropy_by_hand() -> None:
    logits, targets = np.array([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]]), np.array([1, 0])
    first = -log(exp(2) / (exp(1) + exp(2) + exp(0.5)))
    second = -log(1 / (2 + exp(3)))
    assert losses.softmax_cross_entropy(logits, targets) == pytest.approx(
        (first + second) / 2, rel=1e-15
    )


def test_softmax_cross_entropy_is_the_mean_over_steps_too() -> None:
    logits, targets = STREAM.normal(size=(3, 4, 5)), STREAM.integers(0, 5, (3, 4))
    flat = losses.softmax_cross_entropy(logits.reshape(12, 5), targets.reshape(12))
    assert losses.softmax_cross_entropy(logits, targets) == pytest.approx(flat, rel=1e-15)


def test_sigmoid_cross_entropy_by_hand() -> None:
    logits, targets = np.array([[0.3], [-2.0]]), np.array([[1.0], [0.0]])
    expected = (log(1 + exp(-0.3)) + log(1 + exp(-2.0))) / 2
    assert losses.sigmoid_cross_entropy(logits, targets) == pytest.approx(expected, rel=1e-15)


def test_mean_squared_error_is_the_mean_over_outputs_too() -> None:
    outputs, targets = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 2.0], [1.0, 2.0]])
    assert losses.mean_squared_error(outputs, targets) == (1 + 0 + 4 + 9) / 4


@pytest.mark.parametrize("size", [1e3, 1e8, 1e300])
def test_large_logits_neither_overflow_nor_lose_the_loss(size: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        logits = np.array([[size, 0.0]])
        assert losses.softmax_cross_entropy(logits, np.array([0])) == 0.0
        assert losses.softmax_cross_entropy(logits, np.array([1])) == size
        assert losses.sigmoid_cross_entropy(np.array([[size]]), np.array([[0.0]])) == size
        assert losses.sigmoid_cross_entropy(np.array([[-size]]), np.array([[0.0]])) == 0.0
        assert losses.sigmoid(np.array([-size, size])).tolist() == [0.0, 1.0]


def test_small_losses_keep_their_digits() -> None:
    assert losses.sigmoid_cross_entropy(np.array([[-40.0]]), np.array([[0.0]])) == pytest.approx(
        exp(-40), rel=1e-14
    )


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_shapes_that_would_broadcast_are_refused(task: Any) -> None:
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3,\)"):
        losses.data_loss(task, np.zeros((3, 1)), np.zeros(3))


def test_penalty_counts_kernels_only() -> None:
    layers = [Embedding(units=2), Lstm(units=2), BatchNorm(), Dense(units=2)]
    model = resolve(layers, TensorSpec((3,), 4))
    params = {name: STREAM.normal(size=item.shape) for name, item in model.parameters.items()}
    kernels = [
        params[name] for name in ("lstm_1.kernel", "lstm_1.recurrent_kernel", "dense_1.kernel")
    ]
    expected = 0.3 * sum(np.abs(w).sum() for w in kernels) + 0.2 * sum(
        (w**2).sum() for w in kernels
    )
    assert losses.penalty(params, model, 0.3, 0.2) == pytest.approx(expected, rel=1e-14)
    found = losses.penalty_gradients(params, model, 0.3, 0.2)
    assert set(found) == {name for name, item in model.parameters.items() if item.trainable}
    slopes = gradient(lambda p: losses.penalty(p, model, 0.3, 0.2), params, found)
    for name, slope in slopes.items():
        np.testing.assert_allclose(found[name], slope, atol=1e-9)


def test_penalty_gradient_of_zero_is_zero() -> None:
    model = resolve([Flatten(), Dense(units=1, bias=False)], TensorSpec((3,)))
    found = losses.penalty_gradients(
        {"dense_1.kernel": np.array([[0.0], [2.0], [-1.0]])}, model, 0.5, 0.1
    )
    np.testing.assert_allclose(found["dense_1.kernel"], [[0.0], [0.9], [-0.7]], rtol=1e-15)
