"""``adding``, and the sizes of the parts of any data set that is cut from one pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nncompare.data import prepare
from nncompare.data.adding import Adding
from nncompare.data.base import PARTS
from nncompare.errors import DataError
from nncompare.testing.data_set import check_data_set


def test_it_keeps_the_promises_of_a_data_set() -> None:
    check_data_set(Adding(name="adding", length=7, examples=60), "regression")


def test_one_step_of_each_half_is_marked() -> None:
    spec = Adding(name="adding", length=7, examples=300)
    data = prepare(spec, "regression", seed=0, dtype="float64")
    for part in PARTS:
        split = getattr(data, part)
        values = split.x[..., 0]
        marks = split.x[..., 1]
        assert set(np.unique(marks)) == {0.0, 1.0}
        assert (marks[:, :3].sum(axis=1) == 1).all()
        assert (marks[:, 3:].sum(axis=1) == 1).all()
        assert 0 <= values.min() <= values.max() < 1
        np.testing.assert_allclose((values * marks).sum(axis=1), split.y[:, 0], rtol=1e-15)
    steps = data.train.x[..., 1].any(axis=0)
    assert steps.all(), "every step is marked somewhere"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"examples": 11, "test": 0.01}, "data.test: 0.01 of 11 examples is none; raise it"),
        (
            {"examples": 11, "validation": 0.01},
            "data.validation: 0.01 of 9 examples is none; raise it",
        ),
        (
            {"examples": 100, "test": 0.99999},
            "data.test: 0.99999 of 100 examples leaves 0 for training and validation; lower it",
        ),
        (
            {"examples": 1000, "test": 0.998},
            "data.validation: 0.2 of 2 examples is none; raise it or lower data.test",
        ),
        (
            {"limit": 2, "validation": 0.1},
            "data.validation: 0.1 of 2 .*none.*raise data.limit",
        ),
        (
            {"limit": 2, "validation": 0.9},
            "leaves none for training; lower it or raise data.limit",
        ),
    ],
)
def test_empty_parts_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        prepare(Adding(name="adding", **fields), "regression", seed=0, dtype="float32")
