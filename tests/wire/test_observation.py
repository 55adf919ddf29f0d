"""What a parity check saw, on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nncompare.wire.observation import Observation, evaluation_rows, read


def test_the_observation_survives_the_disk(tmp_path: Path) -> None:
    observation = Observation(
        gradients={"dense_1.kernel": np.arange(6.0).reshape(2, 3)},
        checkpoints={1: {"a.b": np.ones(2, np.float32)}, 50: {"a.b": np.zeros(2, np.float32)}},
        losses={"": np.array([1.0, np.nan])},
    )
    observation.save(tmp_path)
    back = read(tmp_path)
    assert back.checkpoints.keys() == {1, 50}
    assert back.checkpoints[50]["a.b"].dtype == np.float32
    assert np.array_equal(back.gradients["dense_1.kernel"], observation.gradients["dense_1.kernel"])
    assert np.isnan(back.losses[""][1])
    assert back.logits == back.update_weights == {}


def test_evaluation_takes_more_than_one_chunk() -> None:
    rows = evaluation_rows(5)
    assert len(rows) == 1024 + 5
    assert set(rows) == set(range(5))
    assert len(evaluation_rows(100)) == 1024 + 7
