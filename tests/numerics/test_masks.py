from __future__ import annotations

import numpy as np
import pytest

from nncompare.numerics.masks import keep_mask


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, 1 - 1e-12])
def test_frequency(rate: float) -> None:
    mask = keep_mask(0, "dropout_1", 0, (400, 500), rate)
    assert mask.shape == (400, 500)
    assert mask.dtype == bool
    assert mask.mean() == pytest.approx(1 - rate, abs=0.005)  # four deviations of the mean
    if rate == 0:
        assert mask.all()


def test_values_are_independent_of_each_other() -> None:
    kept = keep_mask(1, "dropout_1", 5, (1000, 200), 0.5).astype(float) - 0.5
    for a, b in ((kept[:, :-1], kept[:, 1:]), (kept[:-1], kept[1:])):
        assert abs((a * b).mean() / 0.25) < 0.01


def test_steps_nodes_and_seeds_have_masks_of_their_own() -> None:
    def mask(seed: int = 0, node: str = "dropout_1", step: int = 0) -> np.ndarray:
        return keep_mask(seed, node, step, (100, 100), 0.5)

    for other in (mask(seed=1), mask(node="dropout_2"), mask(step=1), mask(step=10**9)):
        assert (mask() == other).mean() == pytest.approx(0.5, abs=0.02)


def test_any_step_can_be_made_alone() -> None:
    forwards = [keep_mask(3, "dropout_1", step, (7, 5), 0.3) for step in range(4)]
    backwards = [keep_mask(3, "dropout_1", step, (7, 5), 0.3) for step in (3, 2, 1, 0)]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards[::-1], strict=True))


def test_steps_do_not_overlap() -> None:
    """A step is no shifted copy of the one before, however long."""
    first, second = (keep_mask(0, "dropout_1", step, (4096,), 0.5) for step in (0, 1))
    for shift in range(1, 64):
        assert (first[shift:] == second[:-shift]).mean() < 0.6


def test_a_shorter_batch_has_the_first_rows() -> None:
    full, partial = (keep_mask(0, "dropout_1", 2, (rows, 9), 0.4) for rows in (8, 3))
    assert np.array_equal(full[:3], partial)


def test_known_values() -> None:
    """Stored results stay reproducible: these bits must never change."""
    known = [1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0]
    assert keep_mask(7, "dropout_1", 2, (12,), 0.5).astype(int).tolist() == known
