"""What rounding explains passes, and nothing else does: sums, kinks, condition, chaos and
divergence.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompare.backends.base import Params
from nncompare.config.load import load, load_mapping
from nncompare.data import signature
from nncompare.records.finished import Finished
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.studies.run import parity as run_parity
from nncompare.studies.verify import aligned
from nncompare.studies.verify.aligned import AlignedParity, Evidence
from nncompare.studies.verify.checks import evaluation, gradient, trajectory
from nncompare.studies.verify.checks.check import Check, Pairing
from nncompare.studies.verify.checks.distance import absolute
from nncompare.studies.verify.checks.floor import FloatPair
from nncompare.studies.verify.checks.gradient import KINKED, before_kinks, room_for_kinks
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.rounding import (
    WIDER,
    room_as_in_float64,
    room_by_formula,
)
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.root_causes import root_causes
from nncompare.studies.verify.growth import Growth, in_doubt, sound_steps, until, with_growth
from nncompare.studies.verify.record import Parity as ParityOfRun
from nncompare.studies.verify.watcher import NullWatcher
from nncompare.wire.observation import PERTURBATION, Observation
from nncompare.wire.outcome import Outcome
from nncompare.worker.perturb import perturbed_params

DATA = "{name: random, shape: [6, 6, 1], examples: 400}"
BATCH_NORM = (
    "[{type: conv2d, filters: 2}, {type: batch_norm}, {type: relu}, {type: flatten}, {type: dense,"
    " units: 10}]"
)
CHAOTIC_RNN = """[{type: reshape, shape: [36, 1]},
  {type: rnn, units: 12, recurrent_initializer: {name: orthogonal, scale: 3.0}}, {type: dense, units: 10}]"""


def context(layers: str, dtype: str, work: Path, steps: int = 20) -> Context:
    return check_of(layers, work, steps).contexts[dtype]


def check_of(layers: str, work: Path, steps: int = 20) -> AlignedParity:
    text = (
        f"data: {DATA}\nmodel: {{layers: {layers}}}\ntrain: {{batch_size: 64}}\nbackends: [torch,"
        " tensorflow]"
    )
    file = work / "experiment.yaml"
    file.write_text(text)
    return AlignedParity(
        load(file, (), signature_of=signature), work, NullWatcher(), steps, ("float64", "float32")
    )


def failing(quantity: str, layer: str | None, dtype: str, worst: float, **more: Any) -> Check:
    fields = {"runtime": "torch", "against": "formula", "tolerance": 0.0} | more
    return Check(quantity=Quantity(quantity), layer=layer, dtype=dtype, worst=worst, **fields)


# -- the formulas
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "unit"), [("float32", 2.0**-24), ("float64", 2.0**-53)])
def test_sums_of_batch_norm_have_room_and_layers_before_it_have_not(
    dtype: str, unit: float, tmp_path: Path
) -> None:
    there = context(BATCH_NORM, dtype, tmp_path)
    values = 64 * 4 * 4
    checks = [failing("forward, training", "batch_norm_1", dtype, 0.1 * values * unit)]
    assert room_by_formula(there, Observation(), checks)[0].passed
    for layer, quantity, worst in (
        ("batch_norm_1", "forward, training", 0.2 * values * unit),
        ("conv2d_1", "forward, training", 0.1 * values * unit),
        ("batch_norm_1", "forward", 0.1 * values * unit),
    ):
        assert not room_by_formula(there, Observation(), [failing(quantity, layer, dtype, worst)])[
            0
        ].passed


def test_a_running_mean_is_judged_by_the_spread_of_what_it_is_the_mean_of(tmp_path: Path) -> None:
    there = context(BATCH_NORM, "float32", tmp_path)
    seen = Observation(update_weights={0: there.probe})
    right = there.new_running(there.probe, 0)
    mean, variance = right["batch_norm_1.running_mean"], right["batch_norm_1.running_variance"]
    ratio = max(1.0, float(np.sqrt(variance.max()) / np.abs(mean).max()))
    room = 64 * 4 * 4 * 2.0**-24 / 8 * ratio
    for worst, passed in ((0.99 * room, True), (1.01 * room, False)):
        check = failing("running statistics", "batch_norm_1.running_mean", "float32", worst, step=1)
        assert room_by_formula(there, seen, [check])[0].passed == passed


def test_a_chaotic_recurrence_has_room_and_a_tame_one_has_none(tmp_path: Path) -> None:
    wild, tame = (
        context(layers, "float64", tmp_path)
        for layers in (CHAOTIC_RNN, CHAOTIC_RNN.replace("3.0", "0.5"))
    )
    check = failing("forward", "rnn_1", "float64", 5e-12)
    assert room_by_formula(wild, Observation(), [check])[0].passed
    assert not room_by_formula(tame, Observation(), [check])[0].passed
    assert not room_by_formula(wild, Observation(), [replace(check, worst=1e-3)])[0].passed


def test_tolerances_of_checks_that_pass_stay(tmp_path: Path) -> None:
    there = context(BATCH_NORM, "float32", tmp_path)
    passing = failing("forward, training", "batch_norm_1", "float32", 1e-9, tolerance=1e-5)
    assert room_by_formula(there, Observation(), [passing]) == [passing]


def test_gradients_jump_before_a_kink_and_not_behind_it(tmp_path: Path) -> None:
    there = context(BATCH_NORM, "float32", tmp_path)
    before = before_kinks(there)
    assert before == {name for name in there.model.parameters if not name.startswith("dense")}
    checks = [
        failing("gradient", name, "float32", 0.9 * KINKED, against="itself")
        for name in ("conv2d_1.kernel", "dense_1.kernel")
    ]
    assert [check.passed for check in room_for_kinks(there, frozenset(), checks)] == [True, False]
    assert all(
        check.passed for check in room_for_kinks(there, frozenset(["dense_1.kernel"]), checks)
    )


def test_a_smooth_net_has_no_kinks(tmp_path: Path) -> None:
    assert before_kinks(context(CHAOTIC_RNN, "float32", tmp_path)) == frozenset()


def test_float32_may_be_off_where_float64_is() -> None:
    wide = failing("forward", "dense_1", "float64", 1e-13, tolerance=1e-12)
    narrow = failing("forward", "dense_1", "float32", 0.9 * WIDER * 1e-13, tolerance=1e-5)
    assert room_as_in_float64([narrow], [wide])[0].passed
    for other in (
        replace(wide, layer="dense_2"),
        replace(wide, runtime="keras"),
        replace(wide, worst=1e-15),
    ):
        assert not room_as_in_float64([narrow], [other])[0].passed
    wrong = replace(wide, worst=1e-3)
    assert not room_as_in_float64([narrow], [wrong])[0].passed, (
        "a mistake in float64 excuses nothing"
    )


# -- the trajectory
# ------------------------------------------------------------------------------------------------


def trained(there: Context, start: Params, factor: float = 2.0) -> Observation:
    """A trajectory away from an unstable point: every weight, and so every difference, doubles in a
    step.
    """
    seen, weights, found = Observation(), dict(start), []
    for step in range(there.steps):
        found.append(1.0 + sum(float((value**2).sum()) for value in weights.values()))
        weights = {name: factor * value for name, value in weights.items()}
        if step + 1 in there.plan.checkpoints:
            seen.checkpoints[step + 1] = weights
    seen.losses, seen.logits = (
        {"": np.array(found)},
        {"": np.concatenate([w.ravel() for w in weights.values()])},
    )
    return seen


@pytest.fixture
def growing(tmp_path: Path) -> tuple[Context, Params, Observation, Growth]:
    there = context("[{type: flatten}, {type: dense, units: 10}]", "float64", tmp_path, steps=40)
    start = {name: 1e-3 * value for name, value in there.probe.items()}
    right = trained(there, start)
    moved = {name: value + PERTURBATION * generator_like(value) for name, value in start.items()}
    return (
        there,
        start,
        right,
        Growth(observations={"torch": right}, perturbed={"torch": trained(there, moved)}),
    )


def generator_like(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(value.shape)


def pair(
    quantity: str, layer: str | None, step: int, worst: float, tolerance: float = 1e-10
) -> Check:
    return Check(
        runtime="tensorflow",
        against="torch",
        quantity=Quantity(quantity),
        layer=layer,
        dtype="float64",
        worst=worst,
        tolerance=tolerance,
        step=step,
    )


def test_tolerances_follow_the_growth_of_rounding(
    growing: tuple[Context, Params, Observation, Growth],
) -> None:
    _, _, _, growth = growing
    apart, _ = growth.tensor("dense_1.kernel", 40)
    assert apart > 1e-4 > growth.tensor("dense_1.kernel", 5)[0], "2**40 perturbations"
    steps = growth.comparable_steps()
    at_five = growth.tensor("dense_1.kernel", 5)[0]
    checks = [
        pair("weights", "dense_1.kernel", 5, 9 * at_five, tolerance=0.0),
        pair("weights", "dense_1.kernel", 5, 11 * at_five, tolerance=0.0),
        pair("weights", "dense_1.kernel", 5, 1e-11),
    ]
    assert [check.passed for check in with_growth(checks, growth, steps)] == [True, False, True]


def test_what_rounding_has_lost_is_not_compared_but_formulas_are(
    growing: tuple[Context, Params, Observation, Growth],
) -> None:
    _, _, _, growth = growing
    lost = pair("weights", "dense_1.kernel", 40, 1.0)
    by_formula = replace(lost, against="formula", quantity=Quantity("loss, every step"))
    assert with_growth([lost, by_formula], growth, 30) == [by_formula]


def test_a_stable_training_lends_no_room(
    growing: tuple[Context, Params, Observation, Growth],
) -> None:
    _, _, right, _ = growing
    stable = Growth(observations={"torch": right}, perturbed={"torch": right})
    assert stable.comparable_steps() == 40
    assert stable.logits() == 0.0
    check = pair("weights", "dense_1.kernel", 40, 1e-7)
    assert with_growth([check], stable, 40) == [check]
    assert "faster than usual" in stable.in_words()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
def test_nothing_is_compared_after_divergence(value: float) -> None:
    losses = np.array([2.0, 3.0, 50.0, value, 1.0])
    assert sound_steps({"torch": Observation(losses={"": losses})}, 5) == 2
    assert sound_steps({"torch": Observation(losses={"": losses[:3]})}, 5) == 5
    checks = [pair("loss, every step", None, step, np.inf) for step in (1, 2, 3)]
    assert [check.step for check in until(checks, 2)] == [1, 2]
    formula = replace(checks[2], against="formula", quantity=Quantity("update"))
    assert until([formula], 2) == [formula]


def test_only_the_trajectory_is_in_doubt() -> None:
    late = pair("weights", "dense_1.kernel", 40, 1.0)
    assert in_doubt([late, pair("gradient", "dense_1.kernel", 1, 0.0)])
    assert not in_doubt([late, replace(late, against="formula", quantity=Quantity("update"))])
    assert not in_doubt([late, replace(late, quantity=Quantity("gradient"))])
    assert not in_doubt([replace(late, worst=0.0)])


def test_a_perturbation_moves_every_trained_number_a_little(tmp_path: Path) -> None:
    there = context(BATCH_NORM, "float64", tmp_path)
    moved = perturbed_params(there.model, there.job.seed)
    for name, value in there.initial.items():
        change = np.abs(moved[name] - value)
        if there.model.parameters[name].trainable:
            assert 0 < change.max() < 1e-13
        else:
            assert not change.any()


@pytest.mark.parametrize("planted", [False, True])
def test_runtimes_that_part_late_are_measured(
    planted: bool,
    growing: tuple[Context, Params, Observation, Growth],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rounding that doubles every step certifies; a mistake of a millionth does not, in the same
    training.
    """
    there, start, right, growth = growing
    check = check_of("[{type: flatten}, {type: dense, units: 10}]", tmp_path, steps=40)
    moved = {name: value * (1 + 2e-15) for name, value in start.items()}
    factor = 2.0 * (1 + 1e-6) if planted else 2.0
    other = trained(there, moved, factor)
    perturbed = {
        name: value + PERTURBATION * generator_like(value) for name, value in moved.items()
    }
    of = {"torch": growth.perturbed["torch"], "tensorflow": trained(there, perturbed, factor)}
    evidence = Evidence(
        observations={"float64": {"torch": right, "tensorflow": other}, "float32": {}}
    )
    checks = [
        pair(
            "weights",
            name,
            mark,
            absolute(other.checkpoints[mark][name], right.checkpoints[mark][name]),
        )
        for mark in there.plan.checkpoints
        for name in there.trained
    ]
    evidence.checks["float64"] = checks
    assert in_doubt(checks)
    monkeypatch.setattr(
        aligned,
        "check_all",
        lambda tasks, **_: iter(
            [(task, Outcome(runtime=task.job.runtime, status="ok")) for task in tasks]
        ),
    )
    monkeypatch.setattr(aligned, "read", lambda folder: of[folder.name])
    check._follow_growth(evidence, parallel=1)
    assert all(one.passed for one in evidence.checks["float64"]) == (not planted)
    assert check.limit is not None
    assert "rounding grows" in check.limit.reason


def between(
    there: Context, narrow: dict[str, Observation], wide: dict[str, Observation]
) -> list[Check]:
    """The float32 checks of two runtimes by their floors."""
    first, second = narrow
    pairing = Pairing(runtime=second, against=first, dtype="float32")
    pair = FloatPair(
        first=narrow[second],
        second=narrow[first],
        first_wide=wide[second],
        second_wide=wide[first],
    )
    return [
        *gradient.between_float32(pairing, pair),
        *trajectory.between_float32(there, pairing, pair),
        *evaluation.between_float32(there, pairing, pair),
    ]


def test_an_overflow_in_float32_alone_has_no_floor(tmp_path: Path) -> None:
    there = context("[{type: flatten}, {type: dense, units: 10}]", "float32", tmp_path)
    last = there.plan.checkpoints[-1]

    def one(value: float) -> Observation:
        weights = {name: np.full(p.shape, value) for name, p in there.model.parameters.items()}
        logits, losses = {"": np.full((3, 10), value)}, {"": np.full(20, value)}
        return Observation(
            gradients=weights, checkpoints={last: weights}, logits=logits, losses=losses
        )

    finite, overflown = one(1.0), one(np.inf)
    wide = {"torch": finite, "keras": finite}
    both = between(there, {"torch": overflown, "keras": overflown}, wide)
    assert all(np.isfinite(check.tolerance) and check.passed for check in both)
    alone = between(there, {"torch": finite, "keras": overflown}, wide)
    assert any(not check.passed for check in alone)
    assert all(np.isfinite(check.tolerance) for check in alone)


def test_a_loss_near_zero_is_judged_by_the_rounding_of_log_one() -> None:
    logits = {"": np.array([[7.0, -1.0]])}
    learned = Observation(losses={"": np.array([1.0, 1e-3])}, logits=logits)
    near_zero = trajectory._tolerance_float32(learned, step=1)
    assert near_zero == pytest.approx(4 * 2.0**-23 / 1e-3)
    assert trajectory._tolerance_float32(learned, step=0) == trajectory.LOSS_FLOAT32
    nothing = Observation(losses={"": np.zeros(2)}, logits=logits)
    assert trajectory._tolerance_float32(nothing, step=1) == trajectory.LOSS_FLOAT32


@pytest.mark.parametrize("doubt", [True, False])
def test_a_run_in_doubt_asks_the_full_check(doubt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the first steps part; a layer that is wrong needs no second opinion."""
    check = pair("loss, every step", None, 3, 1.0)
    wrong = failing("forward", "dense_1", "float64", 1.0)
    quick = ParityOfRun(status="failed", form="quick", checks=(check,) if doubt else (check, wrong))
    full = ParityOfRun(status="certified", form="full")
    said: list[str] = []
    monkeypatch.setattr(run_parity, "judge_quick", lambda *_: quick)
    monkeypatch.setattr(run_parity, "_observations", lambda *_: ({}, None))
    monkeypatch.setattr(run_parity, "verify", lambda *_, **__: Finished(record=None))
    monkeypatch.setattr(run_parity, "from_certificate", lambda _: full)
    experiment = load_mapping(
        {"data": {"name": "digits"}, "model": {"family": "mlp", "hidden": [4]}}
    )
    rows = [TrainedRuntime(runtime="torch", status="ok")]
    found = run_parity.run_parity(experiment, None, [None], {}, rows, {}, said.append)
    assert found.status == ("certified" if doubt else "failed")
    assert bool(said) == doubt


def test_a_wrong_update_explains_the_one_after_a_load() -> None:
    names = ("forward", "update", "update after load")
    failed = [failing(quantity, "dense_1", "float64", 1.0, step=1) for quantity in names]
    assert [check.quantity for check in root_causes(failed)] == ["forward", "update"]
    assert [check.quantity for check in root_causes([failed[0], failed[2]])] == [
        "forward",
        "update after load",
    ]
