"""Orders and figures by themselves."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompare.data.scaling import moments, pixel_values
from nncompare.data.splits import cut, order


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_a_stratified_order_keeps_proportions_in_every_prefix(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = order(len(labels), seed, labels)
    assert sorted(rows) == list(range(len(labels)))
    for size in range(1, len(labels) + 1):
        seen = np.bincount(labels[rows[:size]], minlength=len(counts))
        wanted = size * np.array(counts) / len(labels)
        assert np.abs(seen - wanted).max() <= len(counts)


@settings(max_examples=50, deadline=None)
@given(
    size=st.integers(20, 200),
    test=st.floats(0.1, 0.5),
    validation=st.floats(0.1, 0.5),
    seed=st.integers(0, 99),
)
def test_the_parts_cover_all_rows_once(
    size: int, test: float, validation: float, seed: int
) -> None:
    parts = cut(order(size, seed), test=test, validation=validation, limit=None)
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(rows) == list(range(size))


def test_a_constant_feature_becomes_zero() -> None:
    x = np.column_stack([np.full(7, 0.1), np.arange(7.0)])
    scaled = moments(x).apply(x)
    np.testing.assert_allclose(scaled[:, 0], 0, atol=1e-15)
    np.testing.assert_allclose(scaled[:, 1].std(), 1)


def test_figures_of_float32_are_computed_in_float64() -> None:
    x = np.full((100_000, 1), 1e4, np.float32)
    x[::2] += 1
    assert moments(x).mean[0] == 10_000.5
    assert moments(x).std[0] == 0.5


def test_grey_levels_are_normalized_like_the_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    table, note = pixel_values(images, 256, normalize=True)
    grey = images / 255
    np.testing.assert_allclose(table[images], (grey - grey.mean()) / grey.std(), atol=1e-12)
    assert f"{grey.mean():.6f}" in note


def test_blank_images_are_not_divided_by_zero() -> None:
    table, _ = pixel_values(np.zeros((2, 4, 4), np.uint8), 17, normalize=True)
    assert np.isfinite(table).all()
    assert table[0] == 0
