"""The suite itself: it has a case for everything, and it can fail."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from nncompare.backends.base import Piece
from nncompare.numerics.reference import FORWARD
from nncompare.spec.layers import LAYERS
from nncompare.spec.training import OPTIMIZERS, SCHEDULES
from nncompare.testing.cases import CASES
from nncompare.testing.checks import Check, quantities
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
    used = {node.layer.type for case in CASES.values() for node in case.model.walk()}
    assert used == set(LAYERS)
    assert set(FORWARD) == set(LAYERS)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_field_of_a_layer_is_varied(kind: str) -> None:
    """Each field that changes the function has at least two values among the cases."""
    layers = [
        node.layer
        for case in CASES.values()
        for node in case.model.walk()
        if node.layer.type == kind
    ]
    startup = {"type", "initializer", "recurrent_initializer", "forget_bias"}
    for field in set(LAYERS[kind].model_fields) - startup:
        values = {repr(getattr(layer, field)) for layer in layers}
        assert len(values) > 1, f"{kind}.{field} is always {values}"


def test_every_optimizer_and_schedule_has_a_case() -> None:
    trains = [case.experiment.train for case in CASES.values()]
    assert {train.optimizer.name for train in trains} == set(OPTIMIZERS)
    assert {train.schedule.name for train in trains} == set(SCHEDULES)
    assert {case.experiment.task for case in CASES.values()} == {
        "classification",
        "binary",
        "regression",
    }
    assert any(case.per_step for case in CASES.values())
    assert any(train.warmup_steps for train in trains)
    assert any(case.examples % case.batch_size for case in CASES.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_field_of_an_optimizer_is_varied(name: str) -> None:
    optimizers = [case.experiment.train.optimizer for case in CASES.values()]
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
    plan = CASES["optimizer/sgd"].plan  # two epochs of three steps
    assert pieces_of(plan, 2) == [Piece(0, 2, 0), Piece(2, 3, 0), Piece(3, 5, 1), Piece(5, 6, 1)]
    assert pieces_of(plan) == [Piece(0, 3, 0), Piece(3, 6, 1)]


def test_gate_refuses_a_wrong_order() -> None:
    gate = FixedGate([Piece(0, 1, 0)])
    with pytest.raises(AssertionError, match="without a piece"):
        gate.done(0.0)
    gate.next()
    with pytest.raises(AssertionError, match="before done"):
        gate.next()
