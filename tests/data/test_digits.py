"""``digits`` and ``digits_rows``."""

from __future__ import annotations

import numpy as np
import pytest

from nncompare.data import prepare
from nncompare.data.base import Data
from nncompare.data.digits import Digits, DigitsRows
from nncompare.testing.data_set import check_data_set


def make(*, normalize: bool = True) -> Data:
    spec = Digits(name="digits", normalize=normalize)
    return prepare(spec, "classification", seed=0, dtype="float64")


@pytest.mark.parametrize("spec", [Digits(name="digits"), DigitsRows(name="digits_rows")], ids=str)
def test_they_keep_the_promises_of_a_data_set(spec: Digits | DigitsRows) -> None:
    check_data_set(spec, "classification")


def test_rows_are_the_image() -> None:
    image = make()
    rows = prepare(DigitsRows(name="digits_rows"), "classification", seed=0, dtype="float64")
    assert np.array_equal(image.train.x[..., 0], rows.train.x)
    assert np.array_equal(image.train.y, rows.train.y)


def test_pixels_are_grey_levels_from_0_to_1() -> None:
    raw = make(normalize=False)
    assert raw.train.x.min() == 0
    assert raw.train.x.max() == 1
    assert len(np.unique(raw.train.x)) == 17


def test_classes_are_stratified() -> None:
    data = make()
    for part in (data.train, data.validation):
        counts = np.bincount(part.y, minlength=10)
        assert counts.max() - counts.min() <= max(1, 0.05 * counts.sum())
        assert counts.min() > 0
