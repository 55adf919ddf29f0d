from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from nncompare.numerics.initializers import draw, initial_params
from nncompare.spec.initializers import Initializer
from nncompare.spec.layers import Parameter, TensorSpec
from nncompare.spec.layers.attention import Attention
from nncompare.spec.layers.convolution import Conv2d
from nncompare.spec.layers.linear import Dense
from nncompare.spec.layers.normalization import BatchNorm
from nncompare.spec.layers.recurrent import Gru, Lstm
from nncompare.spec.model import resolve


def parameter(
    name: str, shape: tuple[int, ...] = (300, 200), scale: float | None = None, **more: int
) -> Parameter:
    initializer = Initializer(name=name, scale=scale)  # type: ignore[arg-type]
    return Parameter(name="kernel", shape=shape, role="kernel", initializer=initializer, **more)


# 60,000 values: the sample deviation is known to 0.3 %, the mean to 0.4 % of a deviation
@pytest.mark.parametrize(
    ("name", "scale", "deviation"),
    [
        ("normal", None, 0.05),
        ("normal", 0.3, 0.3),
        ("xavier_normal", None, sqrt(2 / 500)),
        ("xavier_normal", 2.0, 2 * sqrt(2 / 500)),
        ("kaiming_normal", None, sqrt(2 / 300)),
        ("kaiming_normal", 1.0, sqrt(1 / 300)),
    ],
)
def test_normal_moments(name: str, scale: float | None, deviation: float) -> None:
    values = draw(parameter(name, scale=scale), "w", 0)
    assert values.std() == pytest.approx(deviation, rel=0.015)
    assert abs(values.mean()) < 0.02 * deviation
    # tails are not cut
    assert (np.abs(values) > 2.5 * deviation).mean() == pytest.approx(0.0124, abs=0.003)


@pytest.mark.parametrize(
    ("name", "scale", "bound"),
    [
        ("uniform", None, 0.05),
        ("uniform", 0.3, 0.3),
        ("xavier_uniform", None, sqrt(6 / 500)),
        ("xavier_uniform", 3.0, 3 * sqrt(6 / 500)),
        ("kaiming_uniform", None, sqrt(2) * sqrt(3 / 300)),
        ("kaiming_uniform", 1.0, sqrt(3 / 300)),
    ],
)
def test_uniform_bounds_and_moments(name: str, scale: float | None, bound: float) -> None:
    values = draw(parameter(name, scale=scale), "w", 0)
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() == pytest.approx(bound, rel=1e-3)
    assert values.std() == pytest.approx(bound / sqrt(3), rel=0.01)


@pytest.mark.parametrize("shape", [(20, 20), (30, 12), (12, 30)])
@pytest.mark.parametrize("gain", [None, 1.5])
def test_orthogonal_rows_or_columns(shape: tuple[int, int], gain: float | None) -> None:
    values = draw(parameter("orthogonal", shape, gain), "w", 0)
    product = values.T @ values if shape[0] >= shape[1] else values @ values.T
    np.testing.assert_allclose(product, (gain or 1) ** 2 * np.eye(min(shape)), atol=1e-13)


def test_orthogonal_has_no_preferred_sign() -> None:
    """Without the correction of signs the trace of Q would be biased: the diagonal of R is negative
    in LAPACK.
    """
    traces = [np.trace(draw(parameter("orthogonal", (4, 4)), f"w{k}", 0)) for k in range(400)]
    assert abs(np.mean(traces)) < 0.2  # the trace of a Haar matrix has mean 0 and variance 1


def test_orthogonal_folds_the_axes_it_is_told_to() -> None:
    kernel = draw(parameter("orthogonal", (3, 3, 4, 20), row_axes=3), "w", 0).reshape(36, 20)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(20), atol=1e-13)
    output = Attention(heads=2, initializer=Initializer(name="orthogonal"))
    params = initial_params(resolve([output], TensorSpec((5, 8))), 0)
    for name, shape in (("query_kernel", (8, 8)), ("output_kernel", (8, 8))):
        matrix = params[f"attention_1.{name}"].reshape(shape)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(8), atol=1e-13)


def test_each_gate_is_drawn_by_itself() -> None:
    params = initial_params(resolve([Lstm(units=6)], TensorSpec((3, 4))), 0)
    blocks = np.split(params["lstm_1.recurrent_kernel"], 4, axis=1)
    for block in blocks:
        np.testing.assert_allclose(block.T @ block, np.eye(6), atol=1e-13)
    assert not np.array_equal(blocks[0], blocks[1])
    bound = sqrt(6 / (4 + 6))
    assert bound * 0.8 < np.abs(params["lstm_1.kernel"]).max() <= bound


def test_biases_scales_and_running_statistics() -> None:
    layers = [Dense(units=3), BatchNorm()]
    params = initial_params(resolve(layers, TensorSpec((4,))), 0)
    assert list(params) == [
        "dense_1.kernel",
        "dense_1.bias",
        "batch_norm_1.scale",
        "batch_norm_1.bias",
        "batch_norm_1.running_mean",
        "batch_norm_1.running_variance",
    ]
    for name, value in (
        ("scale", 1.0),
        ("bias", 0.0),
        ("running_mean", 0.0),
        ("running_variance", 1.0),
    ):
        assert (params[f"batch_norm_1.{name}"] == value).all()
    assert all(array.dtype == np.float64 for array in params.values())


def test_forget_gate_starts_open() -> None:
    for forget, expected in (
        (1.0, [0, 0, 1, 1, 0, 0, 0, 0]),
        (2.5, [0, 0, 2.5, 2.5, 0, 0, 0, 0]),
        (0.0, [0] * 8),
    ):
        params = initial_params(resolve([Lstm(units=2, forget_bias=forget)], TensorSpec((3, 4))), 0)
        assert params["lstm_1.bias"].tolist() == expected
    gru = initial_params(resolve([Gru(units=2)], TensorSpec((3, 4))), 0)
    assert not gru["gru_1.bias"].any()
    assert not gru["gru_1.recurrent_bias"].any()


def test_a_stream_depends_on_seed_and_name_alone() -> None:
    one = parameter("normal")
    assert np.array_equal(draw(one, "a.kernel", 3), draw(one, "a.kernel", 3))
    assert not np.array_equal(draw(one, "a.kernel", 3), draw(one, "b.kernel", 3))
    assert not np.array_equal(draw(one, "a.kernel", 3), draw(one, "a.kernel", 4))
    short = initial_params(resolve([Conv2d(filters=2)], TensorSpec((5, 5, 1))), 1)
    longer = initial_params(
        resolve([Conv2d(filters=2), Conv2d(filters=2)], TensorSpec((5, 5, 1))), 1
    )
    assert np.array_equal(short["conv2d_1.kernel"], longer["conv2d_1.kernel"])
