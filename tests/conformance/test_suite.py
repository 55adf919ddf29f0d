"""The suite itself: it has a case for everything, and it can fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from nncompare.backends.base import Piece
from nncompare.backends.native import resolve
from nncompare.data.base import Data
from nncompare.numerics.reference import FORWARD
from nncompare.numerics.semantics import (
    ALIGNED,
    KNOBS,
    Clipping,
    Semantics,
    TableGradient,
    constants,
)
from nncompare.spec.job import Job
from nncompare.spec.layers import LAYERS
from nncompare.spec.training import OPTIMIZERS, SCHEDULES
from nncompare.testing.case import Case
from nncompare.testing.cases import ALIGNED_CASES, CASES, NATIVE_CASES, shows_nothing_new
from nncompare.testing.check import Check
from nncompare.testing.checks import quantities
from nncompare.testing.numpy_backend import NumpyBackend, NumpySession
from nncompare.testing.worker import run_case
from nncompare.worker.pieces import FixedGate, pieces_of
from tests.conformance.broken import ERRORS, Error


@cache
def report(session: type[NumpySession], case: str) -> dict[str, Any]:
    return run_case(NumpyBackend(session), CASES[case], "torch")


def failed(line: dict[str, Any]) -> set[str]:
    return {check["quantity"] for check in line["checks"] if not check["passed"]}


def test_every_layer_has_a_formula_and_a_case() -> None:
    used = {node.layer.type for case in ALIGNED_CASES for node in case.model.walk()}
    assert used == set(LAYERS)
    assert set(FORWARD) == set(LAYERS)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_field_of_a_layer_is_varied(kind: str) -> None:
    """Each field that changes the function has at least two values among the cases."""
    layers = [
        node.layer
        for case in ALIGNED_CASES
        for node in case.model.walk()
        if node.layer.type == kind
    ]
    startup = {"type", "initializer", "recurrent_initializer", "forget_bias"}
    for field in set(LAYERS[kind].model_fields) - startup:
        values = {repr(getattr(layer, field)) for layer in layers}
        assert len(values) > 1, f"{kind}.{field} is always {values}"


def test_every_optimizer_and_schedule_has_a_case() -> None:
    trains = [case.experiment.train for case in ALIGNED_CASES]
    assert {train.optimizer.name for train in trains} == set(OPTIMIZERS)
    assert {train.schedule.name for train in trains} == set(SCHEDULES)
    assert {case.experiment.task for case in ALIGNED_CASES} == {
        "classification",
        "binary",
        "regression",
    }
    assert any(case.per_step for case in ALIGNED_CASES)
    assert any(train.warmup_steps for train in trains)
    assert any(case.examples % case.batch_size for case in ALIGNED_CASES)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_field_of_an_optimizer_is_varied(name: str) -> None:
    optimizers = [case.experiment.train.optimizer for case in ALIGNED_CASES]
    for field, description in OPTIMIZERS[name].model_fields.items():
        if field != "name":
            values = {
                getattr(optimizer, field) for optimizer in optimizers if optimizer.name == name
            }
            assert values != {description.default}, f"{name}.{field} is always at its default"


@pytest.mark.parametrize("case", sorted({error.case for error in ERRORS}))
def test_unbroken_backend_passes(case: str) -> None:
    line = report(NumpySession, case)
    assert line["error"] is None
    assert failed(line) == set()
    assert {check["quantity"] for check in line["checks"]} == set(quantities(CASES[case]))


@pytest.mark.parametrize("error", ERRORS, ids=[error.name for error in ERRORS])
def test_planted_error_is_caught(error: Error) -> None:
    line = report(error.session, error.case)
    assert line["error"] is None
    assert error.quantity in failed(line)


def test_every_quantity_can_fail() -> None:
    assert {error.quantity for error in ERRORS} == {
        name for case in CASES.values() for name in quantities(case)
    }


# --- the native convention


def test_every_case_is_judged_natively_too() -> None:
    native = [case.name for case in NATIVE_CASES]
    assert {f"native/{case.name}" for case in ALIGNED_CASES} <= set(native)
    assert len(native) == len(ALIGNED_CASES) + 2  # whose starts are nncompare's own if aligned
    assert all(case.job("torch").native for case in NATIVE_CASES)
    assert not any(case.job("torch").native for case in ALIGNED_CASES)


def test_what_is_not_slow_shows_everything_natively() -> None:
    """Every layer and optimizer, every open value, every knob and every constant."""

    def shown(cases: list[Case]) -> set[str]:
        found = set()
        for case in cases:
            job = case.job("torch")
            optimizer = job.experiment.train.optimizer
            parts = [*(node.layer for node in case.model.walk()), optimizer]
            for part in parts:
                kind = getattr(part, "type", None) or part.name
                found |= {
                    kind,
                    *(f"{kind}.{name}" for name in part.open_fields() if part.leaves_open(name)),
                }
            found |= {field for field, knob in KNOBS.items() if knob.settings(job)}
            found |= set(constants(job))
        return found

    short = [case for case in NATIVE_CASES if not shows_nothing_new(case)]
    assert shown(short) == shown(NATIVE_CASES)
    assert len(short) < len(NATIVE_CASES) / 3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_natively_an_optimizer_has_all_its_own_values_once(name: str) -> None:
    rules = [case.experiment.train.optimizer for case in NATIVE_CASES]
    own = [rule for rule in rules if rule.name == name]
    assert any(all(rule.leaves_open(field) for field in rule.open_fields()) for rule in own)


UNTOLD = (TableGradient.SQUARED_FIRST, Clipping.GLOBAL_BY_TOKEN)
"""Meanings of a framework that sees tokens one by one, which NumPy does not."""


def others(field: str) -> Iterator[type[NumpySession]]:
    """A session for every other meaning of a knob."""
    for meaning in KNOBS[field]:
        if meaning is not getattr(ALIGNED, field) and meaning not in UNTOLD:
            change: dict[str, Any] = {field: meaning}

            class Other(NumpySession):
                semantics: Semantics = replace(ALIGNED, **change)

            yield Other


def turning(field: str) -> list[Case]:
    """The cases in which a knob makes a difference."""
    return [case for case in NATIVE_CASES if KNOBS[field].settings(case.job("torch"))]


@pytest.mark.parametrize("knob", KNOBS)
def test_a_framework_that_does_not_what_is_declared_fails(knob: str) -> None:
    for session in others(knob):
        wrong = (run_case(NumpyBackend(session), case, "torch") for case in turning(knob))
        assert any(failed(line) for line in wrong), session.semantics


@pytest.mark.parametrize("knob", KNOBS)
def test_a_framework_that_does_what_is_declared_passes(knob: str) -> None:
    for session in others(knob):
        backend = NumpyBackend(session, native=session.semantics)
        line = run_case(backend, turning(knob)[0], "torch")
        assert (line["error"], failed(line)) == (None, set()), session.semantics


def test_a_default_that_is_not_the_declared_one_fails() -> None:
    """The backend declares another epsilon than its layer has."""
    case = CASES["native/layer/layer_norm"]

    class Declaring(NumpyBackend):
        def resolve(self, job: Job) -> Job:
            return resolve(job, {"layer_norm.epsilon": 0.5})

        def open(self, job: Job, data: Data) -> NumpySession:
            return super().open(case.job("torch"), data)

    assert "outputs" in failed(run_case(Declaring(), case, "torch"))


def test_not_a_number_fails_and_the_report_stays_json() -> None:
    assert not Check(quantity="loss", what="", worst=float("nan"), tolerance=1.0).passed

    class Undefined(NumpySession):
        def loss_and_gradients(self, rows: Any) -> Any:
            _, gradients = super().loss_and_gradients(rows)
            return float("nan"), {name: g * np.nan for name, g in gradients.items()}

    line = report(Undefined, "layer/dense")
    assert failed(line) == {"loss", "gradients", "update"}
    json.dumps(line, allow_nan=False)


def test_a_crash_is_an_error_and_a_refusal_is_told() -> None:
    class Crash(NumpySession):
        def predict(self, x: Any) -> Any:
            raise RuntimeError("planted")

    assert "planted" in report(Crash, "layer/dense")["error"]

    class Refusing(NumpyBackend):
        def why_not(self, job: Any) -> str | None:
            return "no such layer"

    line = run_case(Refusing(), CASES["layer/dense"], "torch")
    assert (line["refused"], line["error"], line["checks"]) == ("no such layer", None, [])


def test_training_that_ignores_the_gate_is_an_error() -> None:
    class Ignoring(NumpySession):
        def train(self, plan: Any, gate: Any) -> None:
            for step in range(plan.steps):
                self.train_step(plan, step)

    assert "before the gate had said None" in report(Ignoring, "layer/dense")["error"]


def test_pieces_stay_within_an_epoch() -> None:
    case = CASES["optimizer/sgd"]
    plan = case.plan(case.job("torch"))  # two epochs of three steps
    assert pieces_of(plan, 2) == [Piece(0, 2, 0), Piece(2, 3, 0), Piece(3, 5, 1), Piece(5, 6, 1)]
    assert pieces_of(plan) == [Piece(0, 3, 0), Piece(3, 6, 1)]


def test_gate_refuses_a_wrong_order() -> None:
    gate = FixedGate([Piece(0, 1, 0)])
    with pytest.raises(AssertionError, match="without a piece"):
        gate.done(0.0)
    gate.next()
    with pytest.raises(AssertionError, match="before done"):
        gate.next()
