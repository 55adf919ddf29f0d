"""An update is judged by what rounding can explain: no false alarm, and nothing hidden by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nncompare.backends.base import Array, Params
from nncompare.config.load import load
from nncompare.data import signature
from nncompare.numerics import updates
from nncompare.numerics.keys import generator
from nncompare.studies.verify.aligned import AlignedParity
from nncompare.studies.verify.checks import update
from nncompare.studies.verify.checks.subject import Subject
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.watcher import Watcher
from nncompare.wire.observation import Observation
from tests.studies.verify.small import DATA, DENSE

Rule = Callable[[Array, Array, Array, Array, float, int], tuple[Array, Array, Array]]


def context(optimizer: str, dtype: str, work: Path) -> Context:
    file = work / "experiment.yaml"
    file.write_text(
        f"data: {DATA}\nmodel: {{layers: {DENSE}}}\n"
        f"train: {{batch_size: 64, optimizer: {optimizer}}}\nbackends: [torch]"
    )
    experiment = load(file, (), signature_of=signature)
    return AlignedParity(experiment, work, Watcher(), 20, (dtype,)).contexts[dtype]


def adamw(decay: float, dtype: str, *, multiply: bool) -> Rule:
    """AdamW in the arithmetic of a dtype; the decay is a product or a difference, as frameworks
    write it.
    """
    number = np.dtype(dtype).type

    def rule(
        w: Array, g: Array, m: Array, v: Array, rate: float, t: int
    ) -> tuple[Array, Array, Array]:
        w = w * number(1 - rate * decay) if multiply else w - w * number(rate) * number(decay)
        m = number(0.9) * m + number(1 - 0.9) * g
        v = number(0.999) * v + number(1 - 0.999) * g * g
        root = np.sqrt(v / number(1 - 0.999**t)) + number(1e-8)
        return w - number(rate) * (m / number(1 - 0.9**t)) / root, m, v

    return rule


def observed(
    there: Context, gradients: list[Params], train: Callable[[int, Params], Params]
) -> Observation:
    """The checked updates of a runtime whose step is ``train``."""
    weights = {name: value.astype(there.job.dtype) for name, value in there.probe.items()}
    seen = Observation(update_weights={0: weights}, update_gradients=dict(enumerate(gradients)))
    for index in range(there.plan.update_steps):
        weights = weights | train(index, weights)
        seen.update_weights[index + 1] = weights
    return seen


def by_rule(there: Context, rule: Rule, gradients: list[Params]) -> Observation:
    state: dict[str, tuple[Array, Array]] = {}

    def step(index: int, weights: Params) -> Params:
        made = {}
        for name in there.trained:
            g = gradients[index][name]
            m, v = state.get(name, (np.zeros_like(g), np.zeros_like(g)))
            rate = float(there.plan.updates.learning_rate[index])
            made[name], m, v = rule(weights[name], g, m, v, rate, index + 1)
            state[name] = m, v
        return made

    return observed(there, gradients, step)


def drawn(there: Context) -> list[Params]:
    """Gradients of every checked step."""
    return [
        {
            name: generator(step, f"gradient/{name}")
            .standard_normal(there.probe[name].shape)
            .astype(there.job.dtype)
            for name in there.trained
        }
        for step in range(there.plan.update_steps)
    ]


def judged(there: Context, seen: Observation) -> bool:
    subject = Subject(context=there, runtime="torch", seen=seen)
    wide = there.dtype == "float64"
    checks = list(update.by_formula(subject) if wide else update.by_formula_float32(subject))
    assert checks
    return all(check.passed for check in checks)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("rate", ["1e-5", "3e-5", "1e-4", "3e-4"])
@pytest.mark.parametrize("decay", [0.01, 0.1])
def test_small_rates_of_adamw_round_the_weight_several_times(
    rate: str, decay: float, multiply: bool, dtype: str, tmp_path: Path
) -> None:
    optimizer = f"{{name: adamw, lr: {rate}, weight_decay: {decay}}}"
    there = context(optimizer, dtype, tmp_path)
    gradients = drawn(there)
    assert judged(there, by_rule(there, adamw(decay, dtype, multiply=multiply), gradients))
    # and what rounding does not explain still fails
    assert not judged(there, by_rule(there, adamw(0.0, dtype, multiply=multiply), gradients))


@pytest.mark.parametrize("change", [1e-9, 1e-5])
def test_an_update_of_a_tiny_gradient_is_as_certain_as_the_gradient(
    change: float, tmp_path: Path
) -> None:
    """``g / sqrt(g^2)`` is a sign: rounding decides it for entries that are rounding."""
    there = context("{name: rmsprop, lr: 0.1, rho: 0.0, epsilon: 1e-20}", "float64", tmp_path)
    gradients = drawn(there)
    for gradient in gradients:
        for value in gradient.values():
            value.flat[0] = 1e-17
    turned = [{name: value.copy() for name, value in step.items()} for step in gradients]
    for step in turned:
        for value in step.values():
            value.flat[0] = -1e-17

    def trained_on(used: list[Params], scale: float = 1.0) -> Observation:
        state = updates.State()

        def step(index: int, weights: Params) -> Params:
            nonlocal state
            made, state = there.update(state, weights, used[index], there.plan.updates, index, None)
            moved = {name: made[name] - weights[name] for name in there.trained}
            return {name: weights[name] + scale * moved[name] for name in there.trained}

        return observed(there, gradients, step)

    assert judged(there, trained_on(turned))
    # the other entries of the very same tensors are as sure as ever
    assert not judged(there, trained_on(turned, 1 + change))


def test_an_entry_without_a_gradient_has_no_room(tmp_path: Path) -> None:
    there = context("{name: adam, lr: 1e-2}", "float64", tmp_path)
    gradients = drawn(there)
    for gradient in gradients:
        for value in gradient.values():
            value.flat[0] = 0.0
    seen = by_rule(there, adamw(0.0, "float64", multiply=True), gradients)
    assert judged(there, seen)
    name = there.trained[0]
    seen.update_weights[1][name].flat[0] += 1e-9
    assert not judged(there, seen)
