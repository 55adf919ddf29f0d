"""What a training loss is compared by."""

from __future__ import annotations

import numpy as np
import pytest

from nncompare.studies.verify.checks import trajectory
from nncompare.wire.observation import Observation


def test_a_loss_near_zero_is_judged_by_the_rounding_of_log_one() -> None:
    logits = {"": np.array([[7.0, -1.0]])}
    learned = Observation(losses={"": np.array([1.0, 1e-3])}, logits=logits)
    near_zero = trajectory._tolerance_float32(learned, step=1)
    assert near_zero == pytest.approx(4 * 2.0**-23 / 1e-3)
    assert trajectory._tolerance_float32(learned, step=0) == trajectory.LOSS_FLOAT32
    nothing = Observation(losses={"": np.zeros(2)}, logits=logits)
    assert trajectory._tolerance_float32(nothing, step=1) == trajectory.LOSS_FLOAT32
