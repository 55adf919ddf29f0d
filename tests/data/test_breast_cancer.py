"""``breast_cancer``."""

from __future__ import annotations

import pytest

from nncompare.data.breast_cancer import BreastCancer
from nncompare.testing.data_set import check_data_set
from tests.data import check_held_back_rows

SPEC = BreastCancer(name="breast_cancer")


def test_it_keeps_the_promises_of_a_data_set() -> None:
    check_data_set(SPEC, "binary")


def test_the_held_back_rows_do_not_touch_the_training_part(monkeypatch: pytest.MonkeyPatch) -> None:
    check_held_back_rows(SPEC, "binary", "load_breast_cancer", monkeypatch)
