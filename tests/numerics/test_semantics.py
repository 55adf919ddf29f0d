"""Every meaning of every knob, by hand where it is a formula, and the table that holds them."""

from __future__ import annotations

import json
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pytest

from nncompare.config.load import load_mapping
from nncompare.data import signature
from nncompare.numerics import losses, reference
from nncompare.numerics.parity import probe_params
from nncompare.numerics.semantics import (
    ALIGNED,
    KNOBS,
    L2,
    BiasCorrection,
    Clipping,
    Epsilon,
    FinalActivation,
    MeanSquareStart,
    MomentumRate,
    PooledPadding,
    RecurrentBiases,
    RunningVariance,
    Semantics,
    TableGradient,
    constants,
    describe,
)
from nncompare.numerics.updates import State, TableUse, clip, step
from nncompare.spec.job import Job
from nncompare.spec.training import OPTIMIZERS, Penalty

FIRST, SECOND = 0.1, 0.05
"""Learning rates of two steps, on w = 1, -2 with gradients 0.5, 1 and then -1, 3."""


def two_steps(
    name: str, semantics: Semantics, penalty: Penalty | None = None, **fields: Any
) -> tuple[list[float], list[float]]:
    optimizer: Any = OPTIMIZERS[name](name=name, **fields)
    params, state, seen = {"w": np.array([1.0, -2.0])}, State(), []
    for g, rate in (([0.5, 1.0], FIRST), ([-1.0, 3.0], SECOND)):
        gradients = {"w": np.array(g)}
        params, state = step(
            optimizer, state, params, gradients, rate, penalty=penalty, semantics=semantics
        )
        seen.append(params["w"].tolist())
    return seen[0], seen[1]


def job(layers: list[dict[str, Any]], dtype: str = "float64", **train: Any) -> Job:
    data = {"name": "random", "shape": [6, 6, 2], "outputs": 3, "examples": 20}
    if layers[0]["type"] == "embedding":
        data |= {"shape": [5], "vocabulary": 7}
    section = {"dtype": dtype, **train}
    spec = load_mapping({"data": data, "model": {"layers": layers}, "train": section})
    return Job(runtime="torch", experiment=spec, signature=signature(spec.data, spec.task))


CNN = [
    {"type": "conv2d", "filters": 2, "kernel": 3},
    {"type": "batch_norm"},
    {"type": "gelu"},
    {"type": "avg_pool2d", "pool": 3, "padding": "same"},
    {"type": "flatten"},
    {"type": "dense", "units": 3},
    {"type": "softmax"},
]
TOKENS = [
    {"type": "embedding", "units": 4},
    {"type": "attention", "heads": 2},
    {"type": "leaky_relu"},
    {"type": "lstm", "units": 3},
    {"type": "dense", "units": 3},
]
RMSPROP = {"name": "rmsprop", "momentum": 0.9}
PENALTY = {"l1": 0.1, "l2": 0.1}


def test_adam_with_epsilon_before_correction() -> None:
    one, _ = two_steps(
        "adam", Semantics(epsilon=Epsilon.BEFORE_CORRECTION), beta2=0.99, epsilon=1e-3
    )
    # the root is of 0.01 g^2, and its correction is sqrt(0.01)
    assert one[0] == pytest.approx(1 - 0.1 * 0.5 * 0.1 / (0.1 * 0.5 + 1e-3), rel=1e-13)


def test_adam_with_epsilon_under_the_root() -> None:
    one, _ = two_steps("adam", Semantics(epsilon=Epsilon.UNDER_ROOT), epsilon=1e-3)
    assert one[0] == pytest.approx(1 - 0.1 * 0.5 / sqrt(0.25 + 1e-3), rel=1e-13)


def test_rmsprop_with_epsilon_under_the_root() -> None:
    one, _ = two_steps("rmsprop", Semantics(epsilon=Epsilon.UNDER_ROOT), rho=0.9, epsilon=1e-2)
    assert one[0] == pytest.approx(1 - 0.1 * 0.5 / sqrt(0.1 * 0.25 + 1e-2), rel=1e-14)


@pytest.mark.parametrize("meaning", [Epsilon.AFTER_CORRECTION, Epsilon.BEFORE_CORRECTION])
def test_rmsprop_has_no_bias_correction(meaning: Epsilon) -> None:
    assert two_steps("rmsprop", Semantics(epsilon=meaning)) == two_steps("rmsprop", ALIGNED)


def test_rmsprop_may_start_at_one() -> None:
    one, two = two_steps(
        "rmsprop", Semantics(mean_square_start=MeanSquareStart.ONE), rho=0.9, epsilon=1e-2
    )
    v = 0.9 + 0.1 * 0.25
    assert one[0] == pytest.approx(1 - 0.1 * 0.5 / (sqrt(v) + 1e-2), rel=1e-14)
    v = 0.9 * v + 0.1
    assert two[0] == pytest.approx(one[0] + 0.05 / (sqrt(v) + 1e-2), rel=1e-14)


def test_adam_starts_at_zero_wherever_rmsprop_does() -> None:
    started = Semantics(mean_square_start=MeanSquareStart.ONE)
    assert two_steps("adam", started) == two_steps("adam", ALIGNED)


def test_momentum_may_keep_the_old_rate() -> None:
    old = Semantics(momentum_rate=MomentumRate.OLD)
    one, two = two_steps("sgd", old, momentum=0.8)
    assert one[0] == pytest.approx(0.95, rel=1e-15)
    assert two[0] == pytest.approx(0.95 - (0.8 * 0.1 * 0.5 - 0.05), rel=1e-14)
    one, two = two_steps("sgd", old, momentum=0.8, nesterov=True)
    buffer = 0.8 * 0.1 * 0.5 - 0.05
    assert two[0] == pytest.approx(one[0] - (-0.05 + 0.8 * buffer), rel=1e-14)


def test_rmsprop_momentum_may_keep_the_old_rate() -> None:
    fields = {"rho": 0.9, "epsilon": 1e-2, "momentum": 0.7}
    _, two = two_steps("rmsprop", Semantics(momentum_rate=MomentumRate.OLD), **fields)
    first = 0.1 * 0.5 / (sqrt(0.1 * 0.25) + 1e-2)
    second = 0.7 * first - 0.05 / (sqrt(0.9 * 0.1 * 0.25 + 0.1) + 1e-2)
    assert two[0] == pytest.approx(1 - first - second, rel=1e-14)


def test_bias_correction_may_be_narrow() -> None:
    """Of a constant gradient every step is the learning rate; a narrow beta2 shows as its square
    root.
    """
    exact = two_steps("adam", ALIGNED, epsilon=1e-300)[0][0] - 1
    assert exact == pytest.approx(-FIRST, rel=1e-14)
    for meaning in (BiasCorrection.ROUNDED, BiasCorrection.FLOAT32):
        found = two_steps("adam", Semantics(bias_correction=meaning), epsilon=1e-300)[0][0] - 1
        betas = [float(np.float32(beta)) for beta in (0.9, 0.999)]
        wanted = exact * (0.1 / (1 - betas[0])) / sqrt(0.001 / (1 - betas[1]))
        assert found == pytest.approx(wanted, rel=1e-14)
        assert abs(found / exact - 1) > 1e-8


def test_float32_multiplies_step_by_step() -> None:
    optimizer: Any = OPTIMIZERS["adam"](name="adam")
    params = {"w": np.array([1.0])}
    zeros = {"w": np.array([0.0])}
    state = State(steps=2, first={"w": np.array([1.0])}, second={"w": np.array([1.0])})
    narrow = Semantics(bias_correction=BiasCorrection.FLOAT32)
    found, _ = step(optimizer, state, params, zeros, 1.0, semantics=narrow)
    beta1, beta2 = np.float32(0.9), np.float32(0.999)
    m = 0.9 / (1 - float(beta1 * beta1 * beta1))
    v = 0.999 / (1 - float(beta2 * beta2 * beta2))
    assert 1 - found["w"][0] == pytest.approx(m / (sqrt(v) + 1e-8), rel=1e-14)


def test_clipping_has_five_meanings() -> None:
    gradients = {"a": np.array([3.0, -4.0]), "b": np.array([12.0])}
    plus = clip(gradients, 6.5, Semantics(clipping=Clipping.GLOBAL_PLUS))
    assert plus["b"][0] == pytest.approx(12 * 6.5 / (13 + 1e-6), rel=1e-15)
    each = clip(gradients, 6.5, Semantics(clipping=Clipping.PER_TENSOR))
    assert each["a"] is gradients["a"]
    assert each["b"][0] == pytest.approx(6.5, rel=1e-15)
    values = clip(gradients, 3.5, Semantics(clipping=Clipping.PER_VALUE))
    assert values["a"].tolist() == [3.0, -3.5]
    assert values["b"].tolist() == [3.5]
    # of the two rows -2 and -2 that make -4
    tables = {"a": TableUse(tokens=np.array([0, 1]), squares=np.array([9.0, 8.0]))}
    by_token = Semantics(clipping=Clipping.GLOBAL_BY_TOKEN)
    whole = clip(gradients, 6.5, by_token, tables)
    assert whole["b"][0] == pytest.approx(12 * 6.5 / sqrt(9 + 8 + 144), rel=1e-15)
    assert clip(gradients, 6.5, by_token)["b"][0] == pytest.approx(6.0, rel=1e-15)


def test_l2_may_be_a_matter_of_the_optimizer() -> None:
    penalty = Penalty(l2=0.3)
    one, _ = two_steps("sgd", Semantics(l2=L2.AS_DECAY), penalty)
    assert one[0] == pytest.approx(1 - 0.1 * (0.5 + 0.3 * 1), rel=1e-14)
    one, _ = two_steps("sgd", Semantics(l2=L2.DECOUPLED), penalty)
    assert one[0] == pytest.approx(1 * (1 - 0.1 * 0.3) - 0.1 * 0.5, rel=1e-14)
    for meaning in (L2.IN_LOSS, L2.HALVED):
        assert two_steps("sgd", Semantics(l2=meaning), penalty) == two_steps("sgd", ALIGNED)


def test_l2_in_the_loss() -> None:
    model = job(CNN).model
    params = probe_params(model, 3)
    whole = losses.penalty(params, model, 0.0, 0.2)
    assert whole > 0
    factors = {L2.IN_LOSS: 1.0, L2.HALVED: 0.5, L2.AS_DECAY: 0.0, L2.DECOUPLED: 0.0}
    for meaning, factor in factors.items():
        own = Semantics(l2=meaning)
        assert losses.penalty(params, model, 0.0, 0.2, semantics=own) == factor * whole
        slope = losses.penalty_gradients(params, model, 0.0, 0.2, semantics=own)
        expected = 2 * factor * 0.2 * params["dense_1.kernel"]
        assert slope["dense_1.kernel"] == pytest.approx(expected, rel=1e-14)
    with_l1 = losses.penalty(params, model, 0.1, 0.2, semantics=Semantics(l2=L2.AS_DECAY))
    assert with_l1 == losses.penalty(params, model, 0.1, 0.0) > 0


def test_tables() -> None:
    """Token 0 occurs with gradients 1 and 1, token 1 once with a gradient of zero, token 2 not."""
    optimizer: Any = OPTIMIZERS["rmsprop"](name="rmsprop", rho=0.9, epsilon=1e-12, momentum=0.5)
    params = {"t": np.zeros((3, 1))}
    gradients = {"t": np.array([[2.0], [0.0], [0.0]])}
    before = State(steps=1, first={"t": np.ones((3, 1))}, second={"t": np.ones((3, 1))})
    use = {"t": TableUse(tokens=np.array([0, 1]), squares=np.array([[2.0], [0.0], [0.0]]))}
    found = {}
    for meaning in TableGradient:
        own = Semantics(table_gradient=meaning)
        found[meaning], _ = step(
            optimizer, before, params, gradients, 0.1, semantics=own, tables=use
        )
    summed = found[TableGradient.SUMMED]["t"][:, 0]
    wanted = [0.5 + 2 / sqrt(0.9 + 0.1 * 4), 0.5, 0.5]
    assert summed == pytest.approx([-0.1 * m for m in wanted], rel=1e-9)
    squared = found[TableGradient.SQUARED_FIRST]["t"][:, 0]
    assert squared[0] == pytest.approx(-0.1 * (0.5 + 2 / sqrt(0.9 + 0.1 * 2)), rel=1e-9)
    assert squared[1:].tolist() == summed[1:].tolist()
    lazy = found[TableGradient.LAZY]["t"][:, 0]
    assert lazy.tolist() == [summed[0], summed[1], 0.0]


def test_squares_are_clipped_with_their_sum() -> None:
    optimizer: Any = OPTIMIZERS["rmsprop"](name="rmsprop", rho=0.0, epsilon=1e-12)
    params, gradients = {"t": np.zeros((1, 1))}, {"t": np.array([[2.0]])}
    use = {"t": TableUse(tokens=np.array([0]), squares=np.array([[2.0]]))}
    own = Semantics(table_gradient=TableGradient.SQUARED_FIRST)
    for limit in (None, 0.5):
        found, _ = step(
            optimizer, State(), params, gradients, 0.1, limit, semantics=own, tables=use
        )
        assert found["t"][0, 0] == pytest.approx(-0.1 * sqrt(2), rel=1e-9)


def test_layers_obey_their_knobs() -> None:
    """What each knob of a layer changes, and that nothing else changes."""
    spec = job(CNN).model
    params = probe_params(spec, 3)
    x = np.random.default_rng(3).normal(size=(4, 6, 6, 2))
    plain = reference.outputs(spec, params, x)
    counted = Semantics(pooled_padding=PooledPadding.COUNTED)
    pooled = reference.outputs(spec, params, x, semantics=counted)
    ratio = pooled["avg_pool2d_1"] / plain["avg_pool2d_1"]
    # a corner of the padded image has 4 of 9 values, or 6 at an edge
    assert ratio.min() == pytest.approx(4 / 9, rel=1e-12)
    assert pooled["gelu_1"] == pytest.approx(plain["gelu_1"], abs=0)
    statistics = reference.new_running(spec, params, x)
    biased = reference.new_running(
        spec, params, x, semantics=Semantics(running_variance=RunningVariance.BIASED)
    )
    values = x.shape[0] * plain["conv2d_1"].shape[1] * plain["conv2d_1"].shape[2]
    start = 0.9 * params["batch_norm_1.running_variance"]
    unbiased_part = statistics["batch_norm_1.running_variance"] - start
    biased_part = biased["batch_norm_1.running_variance"] - start
    assert unbiased_part / biased_part == pytest.approx([values / (values - 1)] * 2, rel=1e-12)
    assert biased["batch_norm_1.running_mean"] == pytest.approx(
        statistics["batch_norm_1.running_mean"], abs=0
    )


def test_a_final_softmax_may_be_taken_back() -> None:
    spec, bare = job(CNN).model, job(CNN[:-1]).model
    params = probe_params(spec, 3)
    stream = np.random.default_rng(3)
    x, y = stream.normal(size=(4, 6, 6, 2)), stream.integers(0, 3, size=4)
    taken = Semantics(final_activation=FinalActivation.TAKEN_BACK)
    found = reference.loss(spec, "classification", params, x, y, semantics=taken)
    assert found == reference.loss(bare, "classification", params, x, y)
    assert found != reference.loss(spec, "classification", params, x, y)
    assert reference.loss(bare, "classification", params, x, y, semantics=taken) == found


def test_a_second_bias_is_added_where_there_is_one() -> None:
    spec = job(TOKENS).model
    params = probe_params(spec, 3)
    tokens = np.random.default_rng(3).integers(0, 7, size=(4, 5))
    plain = reference.forward(spec, params, tokens)
    two = Semantics(recurrent_biases=RecurrentBiases.TWO)
    assert (reference.forward(spec, params, tokens, semantics=two) == plain).all()
    extra = np.random.default_rng(4).normal(size=12)
    moved = {**params, "lstm_1.bias": params["lstm_1.bias"] + extra}
    split = {**params, "lstm_1.recurrent_bias": extra}
    expected = reference.forward(spec, moved, tokens)
    found = reference.forward(spec, split, tokens, semantics=two)
    assert found == pytest.approx(expected, rel=1e-12)
    # a parameter that only a framework has is no part of the canonical function
    assert (reference.forward(spec, split, tokens) == plain).all()


CASES = {
    "cnn, adam": job(CNN, optimizer={"name": "adam"}, clip_norm=0.5, penalty=PENALTY),
    "cnn, rmsprop": job(CNN, optimizer=RMSPROP, clip_norm=0.5, penalty=PENALTY),
    "tokens, adamw": job(TOKENS, optimizer={"name": "adamw"}, clip_norm=0.5, penalty=PENALTY),
    "tokens, sgd": job(TOKENS, optimizer={"name": "sgd", "momentum": 0.9}, penalty=PENALTY),
}


@pytest.mark.parametrize("case", CASES)
def test_every_alternative_is_another_function(case: str) -> None:
    """Outputs, loss, running statistics or the weights after two steps: something must differ."""
    base = _figures(CASES[case], ALIGNED)
    found = list(ALIGNED.alternatives(CASES[case]))
    assert len({(item.setting, item.words) for item in found}) == len(found) > 8
    for item in found:
        figures = _figures(CASES[case], item.semantics)
        assert not np.array_equal(figures, base), (item.setting, item.words)


def _figures(asked: Job, semantics: Semantics) -> np.ndarray[Any, Any]:
    """Everything that the formulas give for an experiment, in one vector."""
    train, model = asked.experiment.train, asked.model
    stream = np.random.default_rng(3)
    params = probe_params(model, 3)
    gradients = {
        name: stream.normal(size=item.shape)
        for name, item in model.parameters.items()
        if item.trainable
    }
    if model.input.is_tokens:
        x = stream.integers(0, 5, size=(4, *model.input.shape))
        # as if the first layer of a framework had a second bias
        params["lstm_1.recurrent_bias"] = stream.normal(size=12)
    else:
        x = stream.normal(size=(4, *model.input.shape))
    y = stream.integers(0, 3, size=4)
    loss = reference.loss(
        model, "classification", params, x, y, penalty=train.penalty, semantics=semantics
    )
    running = reference.new_running(model, params, x, semantics=semantics)
    # row 0 in two halves, row 6 not at all
    table = {"embedding_1.table": TableUse(tokens=np.arange(6), squares=np.ones((7, 4)))}
    state, weights = State(), params
    for rate in (0.1, 0.05):
        weights, state = step(
            train.optimizer,
            state,
            weights,
            gradients,
            rate,
            train.clip_norm,
            penalty=train.penalty,
            semantics=semantics,
            tables=table,
        )
    parts = [np.array([loss]), *running.values(), *weights.values()]
    return np.concatenate([part.ravel() for part in parts])


def test_only_the_knobs_that_an_experiment_turns_have_alternatives() -> None:
    plain = job([{"type": "flatten"}, {"type": "dense", "units": 3}], optimizer={"name": "sgd"})
    assert {item.setting for item in ALIGNED.alternatives(plain)} == {"sgd.momentum"}
    settings = {item.setting for item in ALIGNED.alternatives(CASES["cnn, rmsprop"])}
    assert "bias correction in" not in settings
    # two words for three meanings of epsilon
    epsilons = [
        item.words
        for item in ALIGNED.alternatives(CASES["cnn, rmsprop"])
        if item.setting == "epsilon placement"
    ]
    assert epsilons == ["under the root"]


def test_every_knob_is_a_field_and_every_field_is_told() -> None:
    assert set(KNOBS) == set(ALIGNED.to_json()) - {"rounded", "starts", "added"}
    assert len(KNOBS) >= 11
    for name, knob in KNOBS.items():
        assert len(knob) >= 2
        assert isinstance(getattr(ALIGNED, name), knob)


def test_semantics_cross_the_wire() -> None:
    own = replace(
        ALIGNED,
        epsilon=Epsilon.UNDER_ROOT,
        rounded=frozenset({"sgd.momentum"}),
        starts={"kernel": "zeros"},
    )
    assert Semantics.from_json(json.loads(json.dumps(own.to_json()))) == own


def test_constants_are_those_of_the_experiment() -> None:
    assert constants(CASES["cnn, adam"]) == (
        "gelu.constants",
        "adam.beta1",
        "adam.beta2",
        "adam.epsilon",
        "penalty.l1",
        "penalty.l2",
    )
    own = Semantics(rounded=frozenset({"adam.beta1"}))
    assert own.constant("adam.beta1", 0.9) == float(np.float32(0.9))
    assert own.constant("adam.beta2", 0.999) == 0.999


def test_the_ledger_reads_the_same_table() -> None:
    found = describe(CASES["tokens, sgd"], ALIGNED)
    assert found["lstm trained biases"] == "1"
    assert found["embedding gradient"] == "repeated tokens summed, then the update"
    assert found["l2"] == "l2 * sum w^2 of kernels, in the loss"
    assert found["constants"] == "float64"
    assert "epsilon placement" not in found
    assert describe(CASES["cnn, rmsprop"], ALIGNED)["epsilon placement"] == "after the root"
