"""The native certificate passes what is declared and fails what is not, without any framework: a
session in NumPy does what one set of semantics says, and is judged under another.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from nncompare.backends.native import resolve
from nncompare.numerics.semantics import (
    ALIGNED,
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
)
from nncompare.spec.job import Job
from nncompare.spec.layers import TensorSpec
from nncompare.studies.verify import judge
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.findings import explain
from nncompare.studies.verify.record import ParityFinding
from nncompare.testing.case import Case
from nncompare.testing.numpy_backend import NumpySession
from nncompare.wire.observation import Observation
from nncompare.worker.observe import observe

PYTORCH = Semantics(
    clipping=Clipping.GLOBAL_PLUS,
    l2=L2.AS_DECAY,
    pooled_padding=PooledPadding.COUNTED,
    recurrent_biases=RecurrentBiases.TWO,
)
TENSORFLOW = Semantics(
    epsilon=Epsilon.UNDER_ROOT,
    momentum_rate=MomentumRate.OLD,
    bias_correction=BiasCorrection.FLOAT32,
    mean_square_start=MeanSquareStart.ONE,
    l2=L2.HALVED,
    table_gradient=TableGradient.LAZY,
    running_variance=RunningVariance.BIASED,
    rounded=frozenset({"rmsprop.rho", "adam.beta2", "leaky_relu.slope"}),
)
KERAS = Semantics(
    epsilon=Epsilon.BEFORE_CORRECTION,
    momentum_rate=MomentumRate.OLD,
    bias_correction=BiasCorrection.ROUNDED,
    running_variance=RunningVariance.BIASED,
    final_activation=FinalActivation.TAKEN_BACK,
    rounded=frozenset({"sgd.momentum", "penalty.l2"}),
)
OWN = {"as PyTorch": PYTORCH, "as TensorFlow": TENSORFLOW, "as Keras": KERAS}
IMAGE, TOKENS = TensorSpec((3, 3, 1)), TensorSpec((3,), vocabulary=4)
PADDED = [
    {"type": "avg_pool2d", "pool": 2, "padding": "same"},
    {"type": "batch_norm"},
    {"type": "leaky_relu"},
    {"type": "flatten"},
    {"type": "dense", "units": 2},
]
WORDS = [
    {"type": "embedding", "units": 2},
    {"type": "lstm", "units": 2},
    {"type": "dense", "units": 2},
]
SHARED: dict[str, Any] = {"clip_norm": 0.05, "penalty": {"l2": 0.1}, "convention": "native"}

INVISIBLE = {
    # of single tokens only a framework's own gradients tell
    ("embedding gradient", str(TableGradient.SQUARED_FIRST)),
    ("clipping by", str(Clipping.GLOBAL_BY_TOKEN)),
    # a part in 10^8 of an epsilon
    ("adam.epsilon", "rounded to float32"),
    ("rmsprop.epsilon", "rounded to float32"),
}


def case(layers: list[dict[str, Any]], x: TensorSpec, **optimizer: Any) -> Case:
    train = {**SHARED, "optimizer": optimizer}
    return Case(name="native", layers=layers, input=x, outputs=2, train=train)


CASES = {
    "adam": case([*PADDED, {"type": "softmax"}], IMAGE, name="adam", lr=0.1),
    "rmsprop": case(WORDS, TOKENS, name="rmsprop", momentum=0.9, lr=0.3, epsilon=1e-2),
    "sgd": case(WORDS, TOKENS, name="sgd", momentum=0.9, lr=0.1),
}


def context(name: str, semantics: Semantics, job: Job | None = None) -> Context:
    """Of what is declared."""
    asked = CASES[name]
    return Context(job or asked.job("torch"), asked.data, 3, semantics)


@cache
def observed(name: str, own: str) -> Observation:
    """What a framework with these semantics does."""

    class Native(NumpySession):
        semantics = OWN[own]

    there = context(name, OWN[own])
    session = Native(there.job, there.data)
    return observe(session, there.job, there.data, there.plan, lambda *_, **__: None)


def failed(there: Context, observation: Observation) -> list[Check]:
    """Failed checks, but for gradients: those of this session are differences themselves."""
    checks = judge.by_formula(there, "torch", observation)
    return [check for check in checks if not check.passed and check.quantity != "gradient"]


def find_causes(there: Context, seen: Observation, bad: list[Check]) -> list[ParityFinding]:
    return explain(there, {"torch": seen}, bad)


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("name", CASES)
def test_what_is_declared_is_certified(name: str, own: str) -> None:
    assert failed(context(name, OWN[own]), observed(name, own)) == []


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("name", CASES)
def test_every_wrong_meaning_fails_and_the_right_one_is_named(name: str, own: str) -> None:
    """Every knob and every constant that the experiment turns, one at a time."""
    observation, right = observed(name, own), OWN[own]
    found = list(right.alternatives(CASES[name].job("torch")))
    assert len(found) >= 8
    for wrong in found:
        if (wrong.setting, wrong.words) in INVISIBLE:
            continue
        there = context(name, wrong.semantics)
        bad = failed(there, observation)
        assert bad, f"{wrong.setting}: {wrong.words} was declared, and nothing failed"
        words = [finding.looks_like or "" for finding in find_causes(there, observation, bad)]
        assert any(wrong.setting in text for text in words), (wrong.setting, wrong.words, words)


@pytest.mark.parametrize(
    ("name", "value", "quantity", "layer"),
    [
        ("adam.epsilon", 1e-7, "update", "batch_norm_1.scale"),
        ("adam.beta2", 0.99, "update", "batch_norm_1.scale"),
        ("batch_norm.epsilon", 1e-3, "forward", "batch_norm_1"),
        ("batch_norm.momentum", 0.01, "running statistics", "batch_norm_1.running_mean"),
        ("leaky_relu.slope", 0.3, "forward", "leaky_relu_1"),
    ],
)
def test_a_wrong_default_fails_where_it_stands(
    name: str, value: float, quantity: str, layer: str
) -> None:
    job = resolve(CASES["adam"].job("torch"), {name: value})
    there = context("adam", KERAS, job)
    bad = failed(there, observed("adam", "as Keras"))
    first = find_causes(there, observed("adam", "as Keras"), bad)
    assert any(
        (finding.quantity, finding.layer) == (quantity, layer) and finding.worst > finding.gate
        for finding in first
        if finding.worst is not None
    ), first


def test_a_parameter_that_is_not_declared_fails() -> None:
    there = context("sgd", replace(PYTORCH, recurrent_biases=RecurrentBiases.ONE))
    found = find_causes(
        there, observed("sgd", "as PyTorch"), failed(there, observed("sgd", "as PyTorch"))
    )
    assert [finding.quantity for finding in found] == ["round trip"]
    assert found[0].layer == "lstm_1.recurrent_bias"


def test_aligned_semantics_are_no_special_case() -> None:
    assert failed(context("adam", ALIGNED), observed("adam", "as Keras"))
