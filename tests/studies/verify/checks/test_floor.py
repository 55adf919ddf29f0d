"""Float32 runtimes by their floors, where one of them overflows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nncompare.studies.verify.checks import evaluation, gradient, trajectory
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.subject import Pair
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation
from tests.studies.verify.small import DENSE, context


def between(
    there: Context, narrow: dict[str, Observation], wide: dict[str, Observation]
) -> list[Check]:
    """The float32 checks of two runtimes by their floors."""
    first, second = narrow
    pair = Pair(
        context=there,
        runtime=second,
        against=first,
        seen=narrow[second],
        other=narrow[first],
        dead=frozenset(),
        wide=(wide[second], wide[first]),
    )
    return [
        *gradient.between_float32(pair),
        *trajectory.between_float32(pair),
        *evaluation.between_float32(pair),
    ]


def test_an_overflow_in_float32_alone_has_no_floor(tmp_path: Path) -> None:
    there = context(DENSE, "float32", tmp_path)
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
