"""What rounding explains passes, and nothing else does: sums and condition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nncompare.studies.verify.checks.rounding import WIDER, room_as_in_float64, room_by_formula
from nncompare.wire.observation import Observation
from tests.studies.verify.small import BATCH_NORM, CHAOTIC_RNN, context, failing


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
