"""Float32 gradients have room before a kink, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nncompare.studies.verify.checks.gradient import (
    KINKED,
    OWN_FLOAT32,
    before_kinks,
    own_float32,
    with_room_for_kinks,
)
from nncompare.wire.observation import Observation
from tests.studies.verify.small import BATCH_NORM, CHAOTIC_RNN, context, failing


def test_gradients_jump_before_a_kink_and_not_behind_it(tmp_path: Path) -> None:
    there = context(BATCH_NORM, "float32", tmp_path)
    before = before_kinks(there)
    assert before == {name for name in there.model.parameters if not name.startswith("dense")}
    checks = [
        failing("gradient", name, "float32", 0.9 * KINKED, against="itself")
        for name in ("conv2d_1.kernel", "dense_1.kernel")
    ]
    judged = [with_room_for_kinks(there, frozenset(), check) for check in checks]
    assert [check.passed for check in judged] == [True, False]
    dead = frozenset(["dense_1.kernel"])
    assert all(with_room_for_kinks(there, dead, check).passed for check in checks)


def test_a_smooth_net_has_no_kinks(tmp_path: Path) -> None:
    assert before_kinks(context(CHAOTIC_RNN, "float32", tmp_path)) == frozenset()


def test_a_float32_gradient_without_one_in_float64_fails_and_excuses_no_other(
    tmp_path: Path,
) -> None:
    there = context(CHAOTIC_RNN, "float32", tmp_path)
    whole = Observation(gradients={name: there.probe[name] for name in there.trained})
    missing = there.trained[0]
    less = Observation(gradients={name: there.probe[name] for name in there.trained[1:]})
    narrow = {"torch": whole, "keras": whole}
    wide = {"torch": whole, "keras": less}
    checks = list(own_float32(there, narrow, wide, frozenset()))
    assert {check.tolerance for check in checks} == {OWN_FLOAT32}
    failed = [check for check in checks if not check.passed]
    assert [(check.runtime, check.layer) for check in failed] == [("keras", missing)]
    assert failed[0].worst == np.inf
