"""The judge of a parity check without any framework: a backend in NumPy, right and wrong, next to
right ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from nncompare.backends.base import Array, Gate, Params
from nncompare.numerics import updates
from nncompare.numerics.batches import BatchPlan
from nncompare.studies.verify import judge
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.dead import dead_in_most
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.findings import explain
from nncompare.studies.verify.explanation.loss import Point, all_points_look_like
from nncompare.studies.verify.record import ParityFinding
from nncompare.testing.cases import CASES
from nncompare.testing.numpy_backend import NumpySession
from nncompare.wire.observation import Observation
from nncompare.worker.observe import observe
from tests.conformance.broken import ERRORS, Error

RIGHT = ("right", "also right")
FOUND_IN = {
    "outputs": ("forward", "forward, training"),
    "training_outputs": ("forward, training",),
    "loss": ("loss",),
    "training_loss": ("loss",),
    "gradients": ("gradient", "update"),
    "running": ("running statistics",),
    "update": ("update",),
    "predict": ("logits", "forward"),
    "round_trip": ("round trip",),
    "pieces": ("long pieces", "loss of long pieces", "update after load", "loss"),
}
"""Quantity of the conformance suite -> where the judge may tell of it."""
# the gradient of this backend comes from differences, whose noise a bias before batch_norm drowns
# in
ELSEWHERE = {"predict loses the last chunk": "optimizer/sgd"}
CHOSEN = [
    replace(error, case=ELSEWHERE.get(error.name, error.case))
    for error in ERRORS
    if error.quantity in FOUND_IN
]


@cache
def context(case: str) -> Context:
    found = CASES[case]
    # seven steps cross two epochs; for a layer three are enough, and this backend is slow
    return Context(found.job("torch"), found.data, 3 if case.startswith("layer/") else 7)


@cache
def seen(session: type[NumpySession], case: str) -> Observation:
    check = context(case)
    opened = session(check.job, check.data)
    return observe(opened, check.job, check.data, check.plan, lambda _: None)


def judged(
    case: str, observations: Mapping[str, Observation]
) -> tuple[list[Check], list[ParityFinding]]:
    checks = [
        check
        for runtime, one in observations.items()
        for check in judge.by_formula(context(case), runtime, one)
    ]
    checks += judge.between(context(case), observations)[0]
    failed = [check for check in checks if not check.passed]
    return failed, explain(context(case), observations, checks)


def next_to_right(case: str, wrong: Observation) -> tuple[list[Check], list[ParityFinding]]:
    right = seen(NumpySession, case)
    return judged(case, {"right": right, "wrong": wrong, "also right": right})


@pytest.mark.parametrize("case", sorted({error.case for error in CHOSEN}))
def test_unbroken_backend_passes(case: str) -> None:
    failed, findings = next_to_right(case, seen(NumpySession, case))
    assert failed == []
    assert findings == []


@pytest.mark.parametrize("error", CHOSEN, ids=[error.name for error in CHOSEN])
def test_broken_backend_is_found(error: Error) -> None:
    failed, findings = next_to_right(error.case, seen(error.session, error.case))
    assert failed
    assert {finding.runtime for finding in findings} == {"wrong"}
    assert {finding.quantity for finding in findings} & set(FOUND_IN[error.quantity])


@pytest.mark.parametrize(
    ("name", "layer", "words"),
    [
        ("epsilon of layer norm", "layer_norm_1", "epsilon 0.001 in place of 1e-05"),
        ("odd padding before", "conv2d", "padding before, not after"),
        ("gate order of the LSTM", "lstm_1", "in the order 1, 4, 2, 3"),
        (
            "recurrent kernel transposed",
            "rnn_1",
            "the last two axes of recurrent_kernel are exchanged",
        ),
        ("shortcut forgotten", "residual", "its input 0 times"),
        ("no attention scale", "attention_1", r"key_kernel times 1\.41421356"),
        ("steps not averaged", "", "the error counts 4 times"),
        ("penalty missing from the gradient", "", r"in the gradient, l2 0 in place of 0\.05"),
        ("one gradient off by a millionth", r"lstm_1\.bias", r"1\.000001 times"),
        ("one gradient missing", r"position_1\.table", "zero: it is not trained"),
        (
            "momentum of batch norm turned around",
            r"batch_norm_\d\.running_mean",
            r"momentum 0\.9 in place of 0\.1",
        ),
        ("biased running variance", r"batch_norm_\d\.running_variance", "momentum|biased|times"),
        ("every epoch in the order of the first", "", "the examples of step 1"),
        ("same mask at every step", "", "masks of step 1"),
        ("rate stored in the velocity", "", "rate of old gradients: their own steps'"),
        ("learning rate off by a millionth", "", r"learning rate times 1\.000001"),
        ("load keeps the optimizer's state", "", "goes on from an earlier training"),
        ("predict with batch statistics", "", "in training mode"),
    ],
)
def test_broken_backend_is_explained(name: str, layer: str, words: str) -> None:
    error = next(error for error in CHOSEN if error.name == name)
    _, findings = next_to_right(error.case, seen(error.session, error.case))
    told = [f"{finding.layer}: {finding.looks_like}" for finding in findings]
    assert any(
        re.match(layer, f.layer or "") and re.search(words, f.looks_like or "") for f in findings
    ), told


# -- what only the other runtimes tell
# ------------------------------------------------------------------------------


def late(case: str, step: int, name: str) -> Observation:
    """Right, but for one tensor that moves away after ``step`` steps, and the losses with it."""
    found = deepcopy(seen(NumpySession, case))
    for mark, weights in found.checkpoints.items():
        if mark >= step:
            weights[name] = weights[name] + 1e-7
    found.losses[""][step:] += 1e-8
    # what would be judged by formulas is kept out: those checks have tests of their own
    return found


def between_only(case: str, observations: Mapping[str, Observation]) -> list[ParityFinding]:
    checks, _ = judge.between(context(case), observations)
    return explain(context(case), observations, checks)


@pytest.mark.parametrize("place", range(3))
def test_odd_one_out_is_blamed(place: int) -> None:
    case, right = "optimizer/sgd", seen(NumpySession, "optimizer/sgd")
    names = ["a", "b", "c"]
    observations = dict.fromkeys(names, right)
    observations[names[place]] = late(case, 5, "dense_2.kernel")
    (finding,) = between_only(case, observations)
    assert finding.runtime == names[place]
    assert finding.layer == "dense_2.kernel"
    assert finding.step == 5
    assert re.search("parts from [abc] at step 5", finding.looks_like or "")


def test_of_two_it_is_not_known() -> None:
    case = "optimizer/sgd"
    observations = {"a": seen(NumpySession, case), "b": late(case, 5, "dense_2.kernel")}
    (finding,) = between_only(case, observations)
    assert "which of them is wrong is not known" in (finding.looks_like or "")


def test_loss_alone_names_the_step() -> None:
    case, right = "optimizer/sgd", seen(NumpySession, "optimizer/sgd")
    wrong = deepcopy(right)
    wrong.losses[""][3:] *= 1 + 1e-9
    (finding,) = between_only(case, {"a": right, "b": wrong, "c": right})
    assert (finding.runtime, finding.quantity, finding.step) == ("b", "loss, every step", 4)
    assert "the first of an epoch" in (finding.looks_like or "")


def test_a_wrong_runtime_does_not_make_the_others_wrong() -> None:
    """One that gives a dead tensor a gradient must not have the others judged by their rounding."""
    case = "optimizer/sgd"
    right = deepcopy(seen(NumpySession, case))
    name = "dense_1.bias"
    for gradient in (right.gradients, *right.update_gradients.values()):
        gradient[name] = np.full_like(gradient[name], 1e-16)
    other = deepcopy(right)
    for gradient in (other.gradients, *other.update_gradients.values()):
        gradient[name] = np.full_like(gradient[name], -3e-16)
    wrong = seen(NumpySession, case)
    observations = {"a": right, "b": wrong, "c": other}
    assert dead_in_most(context(case), observations) == {name}
    checks, _ = judge.between(context(case), observations)
    assert not [
        check for check in checks if not check.passed and "b" not in (check.runtime, check.against)
    ]


# -- observations that cannot be compared
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_fail(value: float) -> None:
    case = "optimizer/sgd"
    wrong = deepcopy(seen(NumpySession, case))
    wrong.outputs["dense_1"][0, 0] = value
    failed, findings = next_to_right(case, wrong)
    assert any(check.layer == "dense_1" and check.worst == np.inf for check in failed)
    assert findings[0].layer == "dense_1"
    assert findings[0].worst is None


def test_a_diverged_loss_fails() -> None:
    case = "optimizer/sgd"
    wrong = deepcopy(seen(NumpySession, case))
    wrong.losses[""][4:] = np.nan
    failed, _ = next_to_right(case, wrong)
    assert any(check.quantity == "loss, every step" and check.step == 5 for check in failed)


def test_missing_and_foreign_names_fail() -> None:
    case = "optimizer/sgd"
    wrong = deepcopy(seen(NumpySession, case))
    wrong.outputs["dense_9"] = wrong.outputs.pop("dense_2")
    failed, findings = next_to_right(case, wrong)
    assert {check.layer for check in failed if check.quantity == "forward"} == {
        "dense_2",
        "dense_9",
    }
    assert findings[0].looks_like == "the layer gave no output"


def test_a_gradient_that_is_not_given_fails() -> None:
    case = "optimizer/sgd"
    wrong = deepcopy(seen(NumpySession, case))
    del wrong.gradients["dense_1.bias"]
    failed, findings = next_to_right(case, wrong)
    assert any(check.quantity == "gradient" and check.worst == np.inf for check in failed)
    assert findings[0].layer == "dense_1.bias"
    assert findings[0].looks_like == "it has no gradient: it is not trained"


# -- gradients
# ------------------------------------------------------------------------------------------------


class _Blocked(NumpySession):
    """No gradient comes back through the first layer that has ``place`` in its name."""

    place = ""

    def slope(self, rows: Array, step: int) -> Params:
        names = list(self.model.parameters)
        first = next(k for k, name in enumerate(names) if self.place in name)
        return {
            name: g * (names.index(name) >= first) for name, g in super().slope(rows, step).items()
        }


def test_a_gradient_that_does_not_come_back_is_traced_to_its_layer() -> None:
    """dense_1, tanh_1, dense_2: the gradient of dense_1 is zero, that of dense_2 is right."""
    session = type("_", (_Blocked,), {"place": "dense_2"})
    _, findings = next_to_right("optimizer/sgd", seen(session, "optimizer/sgd"))
    assert findings[0].quantity == "gradient"
    assert findings[0].layer == "tanh_1"
    assert findings[0].looks_like == "no gradient comes back through tanh_1"


# -- what a run does and single steps do not
# ------------------------------------------------------------------------


def drawn(change: Callable[[Array, float], Array]) -> tuple[list[Check], list[ParityFinding]]:
    """The framework's own dropout, in NumPy; ``change``: of (output, rate)."""
    case = "layer/dropout"
    check, found = context(case), deepcopy(seen(NumpySession, case))
    session = NumpySession(check.job, check.data)
    session.load(check.probe)
    found.drawn = session.outputs(check.data.train.x[check.plan.dropout_rows], training=True)
    for name, rate in session.rates.items():
        found.drawn[name] = change(found.drawn[name], rate)
    return judged(case, {"wrong": found})


def test_a_right_dropout_passes() -> None:
    failed, findings = drawn(lambda y, _: y)
    assert failed == []
    assert findings == []


@pytest.mark.parametrize(
    ("change", "quantity", "words"),
    [
        (lambda y, rate: y * (1 - rate), "dropout, values", "rate 0 in place of 0.4"),
        (
            lambda y, rate: np.where(rate, 0.0, y),
            "dropout, share kept",
            "rate 1 in place of 0.4: it keeps 0 of the values",
        ),
        (lambda y, rate: y[:, :3], "dropout, values", "no output of the shape"),
    ],
)
def test_a_wrong_dropout_is_found(
    change: Callable[[Array, float], Array], quantity: str, words: str
) -> None:
    _, findings = drawn(change)
    assert findings[0].quantity == quantity
    assert words in (findings[0].looks_like or "")


class _Disturbed(NumpySession):
    """Evaluation loses the optimizer's state."""

    def predict(self, x: Array) -> Array:
        self.state = updates.State()
        return super().predict(x)


class _EqualPieces(NumpySession):
    """Every piece is taken to be as long as the first, or as what is left of its epoch."""

    def train(self, plan: BatchPlan, gate: Gate) -> None:
        length = None
        while (piece := gate.next()) is not None:
            length = length or piece.end - piece.begin
            end = min(piece.begin + length, (piece.epoch_index + 1) * plan.steps_per_epoch)
            found = [self.train_step(plan, step) for step in range(piece.begin, end)]
            gate.done(self.piece_loss(plan, piece.begin, end, np.asarray(found)))


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (_Disturbed, "steps 5 to 6 in one piece"),
        (_EqualPieces, "steps 4 to 4 in one piece"),
    ],
)
def test_what_shows_only_in_long_pieces(session: type[NumpySession], words: str) -> None:
    case = "optimizer/sgd_momentum"
    _, findings = next_to_right(case, seen(session, case))
    assert findings[0].quantity == "long pieces"
    assert words in (findings[0].looks_like or "")


def test_a_long_piece_is_cut_within_an_epoch() -> None:
    pieces = context("optimizer/sgd").plan.whole_pieces
    assert len({end - begin for begin, end in pieces}) > 1
    assert [begin for begin, _ in pieces[1:]] == [end for _, end in pieces[:-1]]


def test_a_small_step_is_judged_by_its_own_size() -> None:
    case = "optimizer/sgd"
    wrong = deepcopy(seen(NumpySession, case))
    name, weights = "dense_1.kernel", wrong.update_weights
    moves = [1e-6 * (weights[step + 1][name] - weights[step][name]) for step in range(4)]
    # a millionth of what they were, and each off by a millionth of that
    for step, moved in enumerate(moves):
        wrong.update_gradients[step] = {
            key: 1e-6 * value for key, value in wrong.update_gradients[step].items()
        }
        weights[step + 1] = {**weights[step], name: weights[step][name] + moved * (1 + 1e-6)}
    failed, _ = judged(case, {"wrong": wrong})
    found = [check for check in failed if check.quantity == "update" and check.layer == name]
    assert found
    assert max(check.worst for check in found) < 1e-11


def test_a_constant_of_the_loss_is_told_from_several_losses() -> None:
    case = "optimizer/sgd"
    check, right = context(case), seen(NumpySession, case)
    points = [
        Point(
            1.25 * check.loss(right.update_weights[step], rows, step),
            right.update_weights[step],
            rows,
            step,
        )
        for step in range(3)
        for rows in [check.plan.updates.rows(step)]
    ]
    assert all_points_look_like(check, points) == "the error counts 1.25 times"
    assert all_points_look_like(check, points[:1]) is None  # of one loss, any constant
    crooked = [replace(point, given=point.given * (1 + 1e-3 * k)) for k, point in enumerate(points)]
    assert all_points_look_like(check, crooked) is None


def test_examples_of_a_check_cross_a_smaller_last_batch() -> None:
    plan: BatchPlan = context("optimizer/sgd").plan.updates
    sizes = plan.sizes(0, context("optimizer/sgd").plan.update_steps).tolist()
    assert sizes == [4, 4, 3, 4]


def test_checks_keep_their_order_in_a_copy() -> None:
    check = Check(
        runtime="a",
        against="b",
        quantity=Quantity.LOSS,
        layer=None,
        dtype="float64",
        worst=1.0,
        tolerance=0.5,
    )
    assert replace(check, step=3).severity == 2.0
