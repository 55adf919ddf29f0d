"""``diabetes``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nncompare.data import prepare
from nncompare.data.base import PARTS, Data
from nncompare.data.diabetes import Diabetes
from nncompare.testing.data_set import check_data_set
from tests.data import check_held_back_rows

SPEC = Diabetes(name="diabetes")


def make(**fields: Any) -> Data:
    return prepare(Diabetes(name="diabetes", **fields), "regression", seed=0, dtype="float64")


def test_it_keeps_the_promises_of_a_data_set() -> None:
    check_data_set(SPEC, "regression")


def test_shares_of_the_parts() -> None:
    data = make(test=0.25, validation=0.5)
    assert [len(getattr(data, part)) for part in PARTS] == [166, 166, 110]
    limited = make(test=0.25, validation=0.5, limit=20)
    assert [len(getattr(limited, part)) for part in PARTS] == [10, 10, 110]
    assert np.array_equal(limited.test.x.argmax(axis=0), data.test.x.argmax(axis=0)), (
        "the test part is not limited"
    )


def test_the_target_is_standardized_and_said_so() -> None:
    data = make(normalize=False)
    assert data.train.y.mean() == pytest.approx(0, abs=1e-12)
    assert data.train.y.std() == pytest.approx(1, abs=1e-12)
    assert data.train.x.mean() > 1, "raw features"
    assert any("target standardized" in note for note in data.notes)


def test_the_held_back_rows_do_not_touch_the_training_part(monkeypatch: pytest.MonkeyPatch) -> None:
    check_held_back_rows(SPEC, "regression", "load_diabetes", monkeypatch)
