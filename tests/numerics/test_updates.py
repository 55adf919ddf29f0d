"""Two steps of every optimizer by hand, on the numbers w = 1, -2 and gradients 0.5, 1 and then -1,
3.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from nncompare.numerics.updates import State, clip, step
from nncompare.spec.training import OPTIMIZERS

FIRST, SECOND = 0.1, 0.05
"""Learning rates of the two steps."""


def two_steps(
    name: str, clip_norm: float | None = None, **fields: Any
) -> tuple[list[float], list[float]]:
    optimizer: Any = OPTIMIZERS[name](name=name, **fields)
    params, state, seen = {"w": np.array([1.0, -2.0])}, State(), []
    for g, rate in (([0.5, 1.0], FIRST), ([-1.0, 3.0], SECOND)):
        params, state = step(optimizer, state, params, {"w": np.array(g)}, rate, clip_norm)
        seen.append(params["w"].tolist())
    assert state.steps == 2
    return seen[0], seen[1]


def test_sgd() -> None:
    one, two = two_steps("sgd")
    assert one == pytest.approx([1 - 0.05, -2 - 0.1], rel=1e-15)
    assert two == pytest.approx([0.95 + 0.05, -2.1 - 0.15], rel=1e-15)


def test_momentum_scales_the_buffer_by_the_current_rate() -> None:
    one, two = two_steps("sgd", momentum=0.8)
    assert one == pytest.approx([0.95, -2.1], rel=1e-15)
    assert two == pytest.approx(
        [0.95 - 0.05 * (0.8 * 0.5 - 1), -2.1 - 0.05 * (0.8 * 1 + 3)], rel=1e-15
    )


def test_nesterov_looks_ahead() -> None:
    one, two = two_steps("sgd", momentum=0.8, nesterov=True)
    assert one == pytest.approx([1 - 0.1 * (0.5 + 0.8 * 0.5), -2 - 0.1 * (1 + 0.8)], rel=1e-15)
    buffer = (0.8 * 0.5 - 1, 0.8 * 1 + 3)
    expected = [one[0] - 0.05 * (-1 + 0.8 * buffer[0]), one[1] - 0.05 * (3 + 0.8 * buffer[1])]
    assert two == pytest.approx(expected, rel=1e-15)


def test_adam() -> None:
    one, two = two_steps("adam", beta1=0.9, beta2=0.99, epsilon=1e-3)
    # the first step is the sign of the gradient, but for epsilon
    assert one == pytest.approx(
        [1 - 0.1 * 0.5 / (0.5 + 1e-3), -2 - 0.1 * 1 / (1 + 1e-3)], rel=1e-14
    )
    for w, before, g1, g2 in ((two[0], one[0], 0.5, -1.0), (two[1], one[1], 1.0, 3.0)):
        m = (0.9 * 0.1 * g1 + 0.1 * g2) / (1 - 0.9**2)
        v = (0.99 * 0.01 * g1**2 + 0.01 * g2**2) / (1 - 0.99**2)
        assert w == pytest.approx(before - 0.05 * m / (sqrt(v) + 1e-3), rel=1e-14)


def test_adamw_decays_first_and_apart_from_the_gradient() -> None:
    plain, _ = two_steps("adam")
    one, two = two_steps("adamw", weight_decay=0.2)
    assert one == pytest.approx([plain[0] - 0.1 * 0.2 * 1, plain[1] + 0.1 * 0.2 * 2], rel=1e-14)
    other, after = two_steps("adam")
    # the same direction, from a decayed point
    for w, before, a, b in zip(two, one, other, after, strict=True):
        assert w == pytest.approx(before * (1 - 0.05 * 0.2) + (b - a), rel=1e-13)


def test_rmsprop_adds_epsilon_to_the_root() -> None:
    one, two = two_steps("rmsprop", rho=0.9, epsilon=1e-2)
    for w, before, g1, g2, w0 in (
        (two[0], one[0], 0.5, -1.0, 1.0),
        (two[1], one[1], 1.0, 3.0, -2.0),
    ):
        v = 0.1 * g1**2
        assert before == pytest.approx(w0 - 0.1 * g1 / (sqrt(v) + 1e-2), rel=1e-14)
        v = 0.9 * v + 0.1 * g2**2
        assert w == pytest.approx(before - 0.05 * g2 / (sqrt(v) + 1e-2), rel=1e-14)


def test_rmsprop_momentum_gathers_scaled_gradients() -> None:
    one, two = two_steps("rmsprop", rho=0.9, epsilon=1e-2, momentum=0.7)
    first = 0.5 / (sqrt(0.1 * 0.25) + 1e-2)
    second = 0.7 * first - 1 / (sqrt(0.9 * 0.1 * 0.25 + 0.1) + 1e-2)
    assert one[0] == pytest.approx(1 - 0.1 * first, rel=1e-14)
    assert two[0] == pytest.approx(one[0] - 0.05 * second, rel=1e-14)


def test_clipping_takes_all_tensors_together() -> None:
    gradients = {"a": np.array([3.0]), "b": np.array([[4.0]])}
    clipped = clip(gradients, 1.0)
    assert clipped["a"][0] == pytest.approx(0.6, rel=1e-15)
    assert clipped["b"][0, 0] == pytest.approx(0.8, rel=1e-15)
    for norm in (5.0, 7.0, None):
        assert clip(gradients, norm) is gradients
    zeros = {"a": np.zeros(3)}
    assert clip(zeros, 1.0) is zeros


def test_a_step_clips_before_the_optimizer() -> None:
    one, _ = two_steps("sgd", clip_norm=0.1)
    norm = sqrt(0.5**2 + 1)
    assert one == pytest.approx([1 - 0.1 * 0.1 * 0.5 / norm, -2 - 0.1 * 0.1 / norm], rel=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arguments_stay_as_they_are(name: str) -> None:
    optimizer: Any = OPTIMIZERS[name](name=name)
    params = {"w": np.array([1.0]), "running_mean": np.array([5.0])}
    gradients, state = {"w": np.array([2.0])}, State()
    updated, _ = step(optimizer, state, params, gradients, 0.1)
    assert params["w"][0] == 1.0
    assert gradients["w"][0] == 2.0
    assert (state.steps, state.first, state.second) == (0, {}, {})
    assert updated["w"][0] < 1.0
    assert updated["running_mean"] is params["running_mean"]


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
def test_a_gradient_of_zero_still_moves_by_its_momentum(name: str) -> None:
    """Adam goes on with what it remembers of a row that a batch lacks: updates are dense."""
    optimizer: Any = OPTIMIZERS[name](name=name, **({"momentum": 0.9} if name == "rmsprop" else {}))
    params, state = step(optimizer, State(), {"w": np.array([1.0])}, {"w": np.array([2.0])}, 0.1)
    after, _ = step(optimizer, state, params, {"w": np.array([0.0])}, 0.1)
    assert after["w"][0] < params["w"][0]
