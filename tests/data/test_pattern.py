"""``pattern``."""

from __future__ import annotations

import numpy as np
import pytest

from nncompare.data import prepare, signature
from nncompare.data.base import PARTS
from nncompare.data.pattern import Pattern
from nncompare.errors import DataError
from nncompare.testing.data_set import check_data_set


def test_it_keeps_the_promises_of_a_data_set() -> None:
    check_data_set(Pattern(name="pattern", pattern=(0, 1, 2, 1)), "classification", distinct=False)


def test_windows_name_the_next_token() -> None:
    spec = Pattern(name="pattern", pattern=(0, 1, 2), repeats=50, window=5)
    data = prepare(spec, "classification", seed=0, dtype="float32")
    assert sum(len(getattr(data, part)) for part in PARTS) == 145
    for part in PARTS:
        split = getattr(data, part)
        assert np.array_equal((split.x[:, 0] + np.arange(1, 5)[:, None]).T % 3, split.x[:, 1:])
        assert np.array_equal((split.x[:, -1] + 1) % 3, split.y)


def test_a_pattern_of_one_token_is_refused_early() -> None:
    with pytest.raises(DataError, match=r"data\.pattern: only token 0"):
        signature(Pattern(name="pattern", pattern=(0, 0)), "classification")


def test_a_window_that_leaves_nothing_is_refused() -> None:
    spec = Pattern(name="pattern", repeats=2, window=6)
    with pytest.raises(DataError, match=r"data\.window: 6 leaves nothing to predict"):
        prepare(spec, "classification", seed=0, dtype="float32")
