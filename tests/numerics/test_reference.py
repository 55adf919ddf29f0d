"""The reference formulas against plain loops and hand-made sums, written apart from them."""

from __future__ import annotations

from itertools import product
from math import erf, exp, pi, sqrt, tanh
from typing import Any

import numpy as np
import pytest

from nncompare.numerics import reference
from nncompare.numerics.differences import directional_derivative, gradient
from nncompare.numerics.losses import log_softmax
from nncompare.numerics.masks import keep_mask
from nncompare.spec.families import LayerList
from nncompare.spec.layers import TensorSpec
from nncompare.spec.model import Model, resolve
from nncompare.spec.training import Penalty

STREAM = np.random.default_rng(2)
Array = np.ndarray


def build(
    *layers: dict[str, Any], shape: tuple[int, ...], vocabulary: int | None = None
) -> tuple[Model, Any, Array]:
    """Model, random parameters, random batch of 3."""
    family = LayerList.model_validate({"family": "layers", "layers": list(layers)})
    model = resolve(family.layers, TensorSpec(shape, vocabulary))
    params = {
        name: 0.3 + 0.5 * STREAM.normal(size=item.shape) for name, item in model.parameters.items()
    }
    for name in params:
        if name.endswith("variance"):
            params[name] = np.abs(params[name]) + 0.1
    x = (
        STREAM.integers(0, vocabulary, (3, *shape))
        if vocabulary
        else STREAM.normal(size=(3, *shape))
    )
    return model, params, x


def near(given: Array, expected: Array) -> None:
    np.testing.assert_allclose(given, expected, rtol=1e-12, atol=1e-13)


def logistic(x: float) -> float:
    return 1 / (1 + exp(-x))


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4)])
def test_dense_works_on_the_last_axis(shape: tuple[int, ...]) -> None:
    model, p, x = build({"type": "dense", "units": 2}, shape=shape)
    y = reference.forward(model, p, x)
    assert y.shape == (3, *shape[:-1], 2)
    for index in np.ndindex(*x.shape[:-1]):
        for unit in range(2):
            expected = (
                sum(x[index][k] * p["dense_1.kernel"][k, unit] for k in range(4))
                + p["dense_1.bias"][unit]
            )
            assert y[index][unit] == pytest.approx(expected, rel=1e-13)


def test_embedding_and_positions() -> None:
    model, p, x = build(
        {"type": "embedding", "units": 2}, {"type": "position"}, shape=(5,), vocabulary=3
    )
    y = reference.forward(model, p, x)
    for n, t in product(range(3), range(5)):
        near(y[n, t], p["embedding_1.table"][x[n, t]] + p["position_1.table"][t])


CONVOLUTIONS = [
    ({"kernel": 3}, (6, 5), ((0, 0), (0, 0)), (1, 1)),
    ({"kernel": 3, "stride": 2, "padding": "same"}, (6, 7), ((0, 1), (1, 1)), (2, 2)),
    ({"kernel": [4, 2], "padding": "same"}, (6, 5), ((1, 2), (0, 1)), (1, 1)),
    (
        {"kernel": [3, 2], "stride": [2, 1], "padding": [1, 2], "bias": False},
        (5, 7),
        ((1, 1), (2, 2)),
        (2, 1),
    ),
]


@pytest.mark.parametrize(("fields", "size", "pads", "stride"), CONVOLUTIONS)
def test_convolution_against_loops(
    fields: dict[str, Any], size: Any, pads: Any, stride: Any
) -> None:
    model, p, x = build({"type": "conv2d", "filters": 2, **fields}, shape=(*size, 3))
    y, kernel = reference.forward(model, p, x), p["conv2d_1.kernel"]
    assert y.shape[1:] == model.output.shape
    for n, row, column, f in np.ndindex(*y.shape):
        total = p["conv2d_1.bias"][f] if "conv2d_1.bias" in p else 0.0
        for i, j, c in np.ndindex(*kernel.shape[:3]):
            r, s = row * stride[0] + i - pads[0][0], column * stride[1] + j - pads[1][0]
            if 0 <= r < size[0] and 0 <= s < size[1]:
                total += x[n, r, s, c] * kernel[i, j, c, f]
        assert y[n, row, column, f] == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(
    ("fields", "before", "window", "stride"),
    [
        ({}, (0, 0), (2, 2), (2, 2)),
        ({"pool": [3, 2], "stride": 2, "padding": "same"}, (0, 0), (3, 2), (2, 2)),
        ({"pool": [3, 4], "stride": 1, "padding": "same"}, (1, 1), (3, 4), (1, 1)),
        ({"pool": [3, 2], "stride": [1, 2]}, (0, 0), (3, 2), (1, 2)),
    ],
)
def test_pools_see_real_values_only(
    kind: str, fields: dict[str, Any], before: Any, window: Any, stride: Any
) -> None:
    model, p, x = build({"type": kind, **fields}, shape=(6, 7, 2))
    x -= 10  # a padded zero would win the maximum and change the mean
    y = reference.forward(model, p, x)
    for n, row, column, c in np.ndindex(*y.shape):
        top, left = row * stride[0] - before[0], column * stride[1] - before[1]
        seen = x[n, max(top, 0) : top + window[0], max(left, 0) : left + window[1], c]
        assert y[n, row, column, c] == pytest.approx(
            seen.max() if kind == "max_pool2d" else seen.mean(), rel=1e-13
        )


def test_lstm_unrolled_by_hand() -> None:
    """One unit, one feature, two steps, every gate its own number."""
    model, _, _ = build({"type": "lstm", "units": 1}, shape=(2, 1))
    p = {
        "lstm_1.kernel": np.array([[0.1, 0.2, 0.3, 0.4]]),  # i, f, g, o
        "lstm_1.recurrent_kernel": np.array([[0.5, -0.6, 0.7, -0.8]]),
        "lstm_1.bias": np.array([0.01, 0.02, 0.03, 0.04]),
    }
    c1 = logistic(0.1 * 2 + 0.01) * tanh(0.3 * 2 + 0.03)  # the forget gate finds an empty cell
    h1 = logistic(0.4 * 2 + 0.04) * tanh(c1)
    forget = logistic(0.2 * -1 - 0.6 * h1 + 0.02)
    c2 = forget * c1 + logistic(0.1 * -1 + 0.5 * h1 + 0.01) * tanh(0.3 * -1 + 0.7 * h1 + 0.03)
    h2 = logistic(0.4 * -1 - 0.8 * h1 + 0.04) * tanh(c2)
    assert reference.forward(model, p, np.array([[[2.0], [-1.0]]])).item() == pytest.approx(
        h2, rel=1e-14
    )


def test_gru_unrolled_by_hand() -> None:
    """The reset gate acts after the product, on the recurrent bias too."""
    model, _, _ = build({"type": "gru", "units": 1, "return_sequences": True}, shape=(2, 1))
    p = {
        "gru_1.kernel": np.array([[0.1, 0.2, 0.3]]),  # r, z, n
        "gru_1.recurrent_kernel": np.array([[0.5, -0.6, 0.7]]),
        "gru_1.bias": np.array([0.01, 0.02, 0.03]),
        "gru_1.recurrent_bias": np.array([0.04, 0.05, 0.06]),
    }
    hidden, expected = 0.0, []
    for value in (2.0, -1.0):
        r = logistic(0.1 * value + 0.01 + 0.5 * hidden + 0.04)
        z = logistic(0.2 * value + 0.02 - 0.6 * hidden + 0.05)
        n = tanh(0.3 * value + 0.03 + r * (0.7 * hidden + 0.06))
        hidden = (1 - z) * n + z * hidden
        expected.append(hidden)
    given = reference.forward(model, p, np.array([[[2.0], [-1.0]]]))
    assert given[0, :, 0].tolist() == pytest.approx(expected, rel=1e-14)


def test_rnn_unrolled_by_hand() -> None:
    model, _, _ = build({"type": "rnn", "units": 1}, shape=(2, 1))
    p = {
        "rnn_1.kernel": np.array([[0.3]]),
        "rnn_1.recurrent_kernel": np.array([[-0.7]]),
        "rnn_1.bias": np.array([0.1]),
    }
    expected = tanh(0.3 * -1 - 0.7 * tanh(0.3 * 2 + 0.1) + 0.1)
    assert reference.forward(model, p, np.array([[[2.0], [-1.0]]])).item() == pytest.approx(
        expected, rel=1e-14
    )


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_last_step_is_the_end_of_the_sequence(kind: str) -> None:
    model, p, x = build({"type": kind, "units": 3, "return_sequences": True}, shape=(4, 2))
    last, _, _ = build({"type": kind, "units": 3}, shape=(4, 2))
    near(reference.forward(last, p, x), reference.forward(model, p, x)[:, -1])


@pytest.mark.parametrize("causal", [False, True])
def test_attention_against_loops(causal: bool) -> None:
    model, p, x = build({"type": "attention", "heads": 2, "causal": causal}, shape=(4, 6))
    w = {name.removeprefix("attention_1."): array for name, array in p.items()}
    y = reference.forward(model, p, x)
    for n, t in product(range(3), range(4)):
        total = w["output_bias"].copy()
        for head in range(2):
            q = x[n, t] @ w["query_kernel"][:, head] + w["query_bias"][head]
            seen = range(t + 1) if causal else range(4)
            keys = [x[n, s] @ w["key_kernel"][:, head] + w["key_bias"][head] for s in seen]
            values = [x[n, s] @ w["value_kernel"][:, head] + w["value_bias"][head] for s in seen]
            weights = np.array([exp(q @ k / sqrt(3)) for k in keys])
            mixed = sum(a * v for a, v in zip(weights / weights.sum(), values, strict=True))
            total = total + mixed @ w["output_kernel"][head]
        near(y[n, t], total)


def test_causal_attention_does_not_see_the_future() -> None:
    model, p, x = build({"type": "attention", "heads": 2, "causal": True}, shape=(4, 6))
    changed = x.copy()
    changed[:, 3] += 1
    before, after = reference.forward(model, p, x), reference.forward(model, p, changed)
    assert np.array_equal(before[:, :3], after[:, :3])
    assert not np.allclose(before[:, 3], after[:, 3])


def test_layer_norm_by_hand() -> None:
    model, p, x = build({"type": "layer_norm", "epsilon": 0.1}, shape=(2, 4))
    y = reference.forward(model, p, x)
    for n, t in product(range(3), range(2)):
        row = x[n, t]
        mean = sum(row) / 4
        variance = sum((value - mean) ** 2 for value in row) / 4
        near(
            y[n, t],
            (row - mean) / sqrt(variance + 0.1) * p["layer_norm_1.scale"] + p["layer_norm_1.bias"],
        )


@pytest.mark.parametrize("shape", [(2,), (4, 2), (3, 4, 2)])
def test_batch_norm_in_training_and_evaluation(shape: tuple[int, ...]) -> None:
    model, p, x = build({"type": "batch_norm", "epsilon": 0.1, "momentum": 0.3}, shape=shape)
    w = {name.removeprefix("batch_norm_1."): array for name, array in p.items()}
    trained, evaluated = (reference.forward(model, p, x, training=mode) for mode in (True, False))
    new = reference.new_running(model, p, x)
    for c in range(2):
        values = x[..., c].ravel()
        mean = values.sum() / values.size
        biased = ((values - mean) ** 2).sum() / values.size
        unbiased = ((values - mean) ** 2).sum() / (values.size - 1)
        scale, bias = w["scale"][c], w["bias"][c]
        near(trained[..., c], (x[..., c] - mean) / sqrt(biased + 0.1) * scale + bias)
        still = (x[..., c] - w["running_mean"][c]) / sqrt(
            w["running_variance"][c] + 0.1
        ) * scale + bias
        near(evaluated[..., c], still)
        near(new["batch_norm_1.running_mean"][c], 0.7 * w["running_mean"][c] + 0.3 * mean)
        near(
            new["batch_norm_1.running_variance"][c], 0.7 * w["running_variance"][c] + 0.3 * unbiased
        )


def test_batch_norm_of_one_value() -> None:
    model, p, x = build({"type": "batch_norm"}, shape=(2,))
    near(reference.forward(model, p, x[:1], training=True), p["batch_norm_1.bias"][None])
    new = reference.new_running(model, p, x[:1])
    near(new["batch_norm_1.running_variance"], 0.9 * p["batch_norm_1.running_variance"])


def test_dropout_keeps_the_mean_and_needs_masks() -> None:
    model, p, _ = build({"type": "dropout", "rate": 0.25}, shape=(1000,))
    x = np.ones((20, 1000))

    def masks(node: str, shape: tuple[int, ...]) -> Array:
        return keep_mask(0, node, 0, shape, 0.25)

    y = reference.forward(model, p, x, training=True, masks=masks)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert y.mean() == pytest.approx(1, abs=0.02)
    assert np.array_equal(reference.forward(model, p, x), x)
    with pytest.raises(ValueError, match=r"dropout_1.*masks"):
        reference.forward(model, p, x, training=True)


@pytest.mark.parametrize(
    ("layer", "formula"),
    [
        ({"type": "relu"}, lambda x: max(x, 0.0)),
        ({"type": "leaky_relu", "slope": 0.2}, lambda x: x if x > 0 else 0.2 * x),
        ({"type": "gelu"}, lambda x: x * 0.5 * (1 + erf(x / sqrt(2)))),
        (
            {"type": "gelu", "approximate": True},
            lambda x: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))),
        ),
        ({"type": "sigmoid"}, logistic),
        ({"type": "tanh"}, tanh),
    ],
)
def test_activations(layer: dict[str, Any], formula: Any) -> None:
    model, p, _ = build(layer, shape=(5,))
    x = np.array([[-3.0, -0.5, 0.0, 0.5, 3.0]])
    near(reference.forward(model, p, x)[0], np.array([formula(value) for value in x[0]]))


def test_softmax_works_on_the_last_axis_and_does_not_overflow() -> None:
    model, p, _ = build({"type": "softmax"}, shape=(2, 3))
    y = reference.forward(model, p, np.array([[[1.0, 2.0, 3.0], [1e4, 0.0, 0.0]]]))
    near(y.sum(axis=-1), np.ones((1, 2)))
    near(y[0, 0], np.exp([1.0, 2.0, 3.0]) / sum(exp(k) for k in (1, 2, 3)))
    assert y[0, 1].tolist() == [1.0, 0.0, 0.0]


def test_structure() -> None:
    model, p, x = build({"type": "flatten"}, {"type": "reshape", "shape": [-1, 2]}, shape=(2, 3, 4))
    seen = reference.outputs(model, p, x)
    assert seen["flatten_1"][1, 1 * 12 + 2 * 4 + 3] == x[1, 1, 2, 3]
    assert np.array_equal(seen["reshape_1"], x.reshape(3, 12, 2))
    last, _, x = build({"type": "last_step"}, shape=(4, 2))
    mean, _, _ = build({"type": "mean_time"}, shape=(4, 2))
    assert np.array_equal(reference.forward(last, {}, x), x[:, 3])
    near(reference.forward(mean, {}, x), sum(x[:, t] for t in range(4)) / 4)


def test_residual_reports_every_node_in_order() -> None:
    inner = [{"type": "dense", "units": 4}, {"type": "tanh"}]
    block = {
        "type": "residual",
        "layers": inner,
        "shortcut": [{"type": "dense", "units": 4, "bias": False}],
    }
    model, p, x = build(block, {"type": "residual", "layers": [{"type": "relu"}]}, shape=(3,))
    seen = reference.outputs(model, p, x)
    assert list(seen) == ["dense_1", "tanh_1", "dense_2", "residual_1", "relu_1", "residual_2"]
    near(
        seen["residual_1"],
        np.tanh(x @ p["dense_1.kernel"] + p["dense_1.bias"]) + x @ p["dense_2.kernel"],
    )
    near(seen["residual_2"], seen["residual_1"] + np.maximum(seen["residual_1"], 0))


def test_loss_adds_penalties_and_leaves_the_parameters() -> None:
    model, p, x = build({"type": "dense", "units": 2}, shape=(3,))
    y, before = STREAM.normal(size=(3, 2)), {name: array.copy() for name, array in p.items()}
    plain = reference.loss(model, "regression", p, x, y)
    with_penalty = reference.loss(model, "regression", p, x, y, penalty=Penalty(l1=0.1, l2=0.2))
    w = p["dense_1.kernel"]
    assert plain == pytest.approx(((x @ w + p["dense_1.bias"] - y) ** 2).mean(), rel=1e-14)
    assert with_penalty - plain == pytest.approx(
        0.1 * np.abs(w).sum() + 0.2 * (w**2).sum(), rel=1e-12
    )
    assert all(np.array_equal(p[name], before[name]) for name in p)


def test_differences_of_a_cubic_are_exact() -> None:
    def f(p: dict[str, Array]) -> float:
        return float((p["a"] ** 3).sum() + 2 * p["b"].sum())

    params = {"a": np.array([1.0, -2.0]), "b": np.array([5.0])}
    direction = {"a": np.array([1.0, 0.5])}
    assert directional_derivative(f, params, direction, 1e-2) == pytest.approx(
        3 * 1 * 1 + 3 * 4 * 0.5, rel=1e-11
    )
    found = gradient(f, params, ["a", "b"])
    near(found["a"].round(8), np.array([3.0, 12.0]))
    near(found["b"].round(8), np.array([2.0]))


def test_differences_agree_with_a_gradient_by_hand() -> None:
    """Dense and softmax cross-entropy: the gradient of the kernel is ``x^T (softmax - onehot) /
    N``.
    """
    model, p, x = build({"type": "dense", "units": 3}, shape=(4,))
    y = np.array([0, 2, 1])
    probabilities = np.exp(log_softmax(reference.forward(model, p, x)))
    slope = (probabilities - np.eye(3)[y]) / 3
    found = gradient(lambda q: reference.loss(model, "classification", q, x, y), p, p)
    np.testing.assert_allclose(found["dense_1.kernel"], x.T @ slope, atol=1e-10)
    np.testing.assert_allclose(found["dense_1.bias"], slope.sum(axis=0), atol=1e-10)
