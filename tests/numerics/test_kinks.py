"""The loss with its kinks held: the same value and gradient at the point, and smooth beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nncompare.backends.base import Array, Params
from nncompare.config.load import load_mapping
from nncompare.data import signature
from nncompare.numerics import reference
from nncompare.numerics.differences import directional_derivative, refined_derivative
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.reference.kinks import smooth_loss
from nncompare.spec.model import Model
from nncompare.spec.training import Penalty

PENALTY = Penalty(l1=0.01, l2=0.02)
X = np.random.default_rng(0).standard_normal((3, 8, 8, 1))
Y = np.array([1, 0, 7])
KINKED: dict[str, list[dict[str, Any]]] = {
    "relu": [{"type": "relu"}],
    "leaky_relu": [{"type": "leaky_relu", "slope": 0.1}],
    "max_pool2d": [{"type": "max_pool2d", "pool": 2, "padding": "same"}],
}


def model_of(*kinked: dict[str, Any]) -> Model:
    layers = [
        {"type": "conv2d", "filters": 3, "kernel": 3},
        *kinked,
        {"type": "flatten"},
        {"type": "dense", "units": 10},
    ]
    experiment = load_mapping({"data": {"name": "digits"}, "model": {"layers": layers}})
    return experiment.resolve(signature_of(experiment))


def signature_of(experiment: Any) -> Any:

    return signature(experiment.data, experiment.task)


def plain(model: Model, params: Params, x: Array = X) -> float:
    return reference.loss(model, "classification", params, x, Y, penalty=PENALTY)


def held(model: Model, params: Params, x: Array = X) -> Any:
    return smooth_loss(
        model,
        "classification",
        params,
        x,
        Y,
        forward=reference.FORWARD,
        penalty=PENALTY,
        masks=None,
    )


@pytest.mark.parametrize("kind", KINKED)
def test_the_value_and_the_gradient_are_those_of_the_loss(kind: str) -> None:
    model = model_of(*KINKED[kind])
    params = initial_params(model, 1)
    f = held(model, params)
    assert f(params) == pytest.approx(plain(model, params), rel=1e-14)
    for name in model.parameters:
        direction = {name: np.random.default_rng(2).standard_normal(params[name].shape)}
        expected = directional_derivative(lambda p: plain(model, p), params, direction, 1e-7)
        assert directional_derivative(f, params, direction, 1e-4) == pytest.approx(
            expected, rel=1e-6, abs=1e-8
        )


def stands(model: Model, params: Params, direction: Params, x: Array) -> None:
    """Held, the slope is that of the shortest steps; longer ones of the plain loss agree on
    another.
    """
    right = directional_derivative(lambda p: plain(model, p, x), params, direction, 1e-8)
    value, error = refined_derivative(held(model, params, x), params, direction)
    assert value == pytest.approx(right, rel=1e-5)
    assert error < 1e-9
    across, _ = refined_derivative(
        lambda p: plain(model, p, x), params, direction, (1e-3, 1e-4, 1e-5)
    )
    assert abs(across - right) > 1e-3 * abs(right)


@pytest.mark.parametrize("kind", ["relu", "leaky_relu"])
def test_a_kink_that_longer_steps_cross_does_not_count(kind: str) -> None:
    """One unit lies 3e-7 from its kink."""
    model = model_of(*KINKED[kind])
    params = initial_params(model, 1)
    unit = reference.outputs(model, params, X)["conv2d_1"][0, 0, 0, 0]
    params["conv2d_1.bias"] = params["conv2d_1.bias"] + np.array([3e-7 - unit, 0.0, 0.0])
    stands(model, params, {"conv2d_1.bias": np.array([-1.0, 0.0, 0.0])}, X)


def test_two_values_of_a_window_that_are_almost_equal_do_not_change_places() -> None:
    """They are 3e-7 apart, and the smaller one grows."""
    model = model_of(*KINKED["max_pool2d"])
    params = initial_params(model, 1)
    centre, beside = (np.zeros_like(params["conv2d_1.kernel"]) for _ in range(2))
    centre[1, 1, 0, 0], beside[1, 2, 0, 0] = 1.0, 1.0
    x = X.copy()
    x[:, 1, 1], x[:, 1, 2], x[:, 1, 3], x[:, 2, 1:3] = 9.0, 9.0 - 3e-7, 5.0, -9.0
    stands(model, {**params, "conv2d_1.kernel": centre}, {"conv2d_1.kernel": beside}, x)


def test_an_l1_penalty_keeps_its_signs() -> None:
    model = model_of(*KINKED["relu"])
    params = initial_params(model, 1)
    params["dense_1.kernel"][0, 0] = 1e-9
    direction = {"dense_1.kernel": np.zeros_like(params["dense_1.kernel"])}
    direction["dense_1.kernel"][0, 0] = -1.0
    far = {
        **params,
        "dense_1.kernel": params["dense_1.kernel"] + 1e-3 * direction["dense_1.kernel"],
    }
    assert plain(model, far) - held(model, params)(far) == pytest.approx(
        2 * PENALTY.l1 * (1e-3 - 1e-9), rel=1e-6
    )
