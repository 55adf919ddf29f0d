"""What mistakes look like: every suspect is recognized, constants are found, derivatives survive
kinks, gates hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nncompare.numerics.differences import refined_derivative
from nncompare.numerics.keys import generator
from nncompare.numerics.reference import FORWARD, Run
from nncompare.spec.layers import LAYERS, TensorSpec
from nncompare.spec.model import Model, resolve
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import absolute, relative, scale
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.judge import summarize
from nncompare.studies.verify.root_causes import root_causes
from nncompare.studies.verify.suspects import BY_TYPE, looks_like
from nncompare.studies.verify.suspects.fit import fit
from nncompare.studies.verify.suspects.scene import Scene

TABLE, SEQUENCE, IMAGE, TOKENS = (
    TensorSpec((6,)),
    TensorSpec((5, 6)),
    TensorSpec((6, 6, 3)),
    TensorSpec((5,), 9),
)
PLACES: dict[str, tuple[dict[str, Any], TensorSpec]] = {
    "dense": ({"units": 6}, TABLE),
    "conv2d": ({"filters": 3, "kernel": 3, "stride": 2, "padding": "same"}, IMAGE),
    "max_pool2d": ({"pool": 3, "stride": 2, "padding": "same"}, IMAGE),
    "avg_pool2d": ({"pool": 3, "stride": 2, "padding": "same"}, IMAGE),
    "flatten": ({}, IMAGE),
    "reshape": ({"shape": [9, 12]}, IMAGE),
    "embedding": ({"units": 4}, TOKENS),
    "position": ({}, SEQUENCE),
    "rnn": ({"units": 4, "return_sequences": True}, SEQUENCE),
    "lstm": ({"units": 4, "return_sequences": True}, SEQUENCE),
    "gru": ({"units": 4}, SEQUENCE),
    "attention": ({"heads": 2, "causal": True}, SEQUENCE),
    "layer_norm": ({}, SEQUENCE),
    "batch_norm": ({}, IMAGE),
    "dropout": ({"rate": 0.3}, SEQUENCE),
    "leaky_relu": ({"slope": 0.05}, SEQUENCE),
}


def keep(_: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Two of three."""
    return np.arange(np.prod(shape)).reshape(shape) % 3 > 0


def scene(kind: str, *, training: bool) -> Scene:
    """A layer on random numbers that gives what it should."""
    fields, spec = PLACES.get(kind, ({}, SEQUENCE))
    model: Model = resolve([LAYERS[kind](type=kind, **fields)], spec)
    (node,) = model.nodes
    stream = generator(0, f"suspects/{kind}")
    shape = (7, *spec.shape)
    x = stream.integers(0, spec.vocabulary, shape) if spec.vocabulary else stream.normal(size=shape)
    params = {item.name: stream.normal(size=item.shape) for item in node.parameters}
    if "running_variance" in params:
        params["running_variance"] = 0.5 + params["running_variance"] ** 2
    full = {f"{node.name}.{name}": value for name, value in params.items()}
    run = Run(params=full, forward=FORWARD, training=training, masks=keep)
    given = np.asarray(FORWARD[kind](node, params, x, run), np.float64)
    return Scene(node, params, x, given, run)


def given(right: Scene, output: np.ndarray[Any, Any]) -> Scene:
    return Scene(right.node, right.p, right.x, output, right.run)


def listed(right: Scene) -> dict[str, np.ndarray[Any, Any]]:
    """The suspects of a layer with what they would give."""
    with np.errstate(all="ignore"):
        return dict(BY_TYPE[right.layer.type](right))


def suspects() -> Iterator[tuple[str, bool, str]]:
    for kind in BY_TYPE:
        for training in (False, True):
            right = scene(kind, training=training)
            for label, made in listed(right).items():
                if (
                    made.shape == right.given.shape
                    and np.isfinite(made).all()
                    and relative(made, right.given) > 1e-6
                ):
                    yield kind, training, label


SUSPECTS = list(dict.fromkeys(suspects()))


def test_every_layer_type_has_a_suspect_that_shows() -> None:
    assert {kind for kind, _, _ in SUSPECTS} == set(BY_TYPE)


def test_a_right_layer_looks_like_nothing() -> None:
    for kind in BY_TYPE:
        assert looks_like(scene(kind, training=False), 1e-9) is None, kind


@pytest.mark.parametrize("kind", BY_TYPE)
def test_every_suspect_is_recognized(kind: str) -> None:
    """By its own words, or by those of an earlier one that gives the same numbers."""
    for _, training, label in [item for item in SUSPECTS if item[0] == kind]:
        right = scene(kind, training=training)
        made = listed(right)
        words = looks_like(given(right, made[label]), 1e-9)
        assert words is not None, label
        if words != label:
            assert words in made, f"{label} is taken for {words}"
            assert relative(made[words], made[label]) < 1e-9


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("layer_norm", {"epsilon": 0.0123}, "epsilon 0.0123 in place of 1e-05"),
        ("batch_norm", {"epsilon": 2.5e-4}, "epsilon 0.00025 in place of 1e-05"),
        ("leaky_relu", {"slope": 0.17}, "slope 0.17 in place of 0.05"),
        ("dropout", {"rate": 0.31}, "rate 0.31 in place of 0.3"),
    ],
)
def test_any_wrong_constant_is_found(kind: str, fields: dict[str, Any], words: str) -> None:
    right = scene(kind, training=True)
    assert looks_like(given(right, right.formula(fields=fields)), 1e-9) == words


def test_a_constant_that_is_off_by_a_rounding_is_found() -> None:
    right = scene("attention", training=False)
    made = right.formula(
        {name: right.p[name] * (1 + 3e-8) for name in ("query_kernel", "query_bias")}
    )
    assert looks_like(given(right, made), 1e-9) == "scores are multiplied by 1.00000003"


def test_float32_outputs_are_explained_within_their_rounding() -> None:
    right = scene("layer_norm", training=False)
    made = right.formula(fields={"epsilon": 1e-3}).astype(np.float32)
    assert looks_like(given(right, made), 3e-4) == "epsilon 0.001 in place of 1e-05"


@pytest.mark.parametrize(
    ("kind", "place", "words"),
    [
        ("gru", np.s_[:, 2], "only feature 3 of 4 is off"),
        ("lstm", np.s_[:, 4], "only step 5 of 5 is off"),
        ("conv2d", np.s_[:, 0], "only row 1 of 3 is off"),
        ("dense", np.s_[6], "only example 7 of 7 is off"),
    ],
)
def test_a_part_that_is_off_is_named(kind: str, place: Any, words: str) -> None:
    right = scene(kind, training=False)
    wrong = right.given.copy()
    wrong[place] += np.linspace(0.5, 1.5, wrong[place].size).reshape(wrong[place].shape)
    assert looks_like(given(right, wrong), 1e-9) == words


def test_one_head_is_named() -> None:
    right = scene("attention", training=False)
    value = right.p["value_kernel"].copy()
    value[:, 1] *= 1 + 1e-7
    assert (
        looks_like(given(right, right.formula({"value_kernel": value})), 1e-9)
        == "head 2 alone is off"
    )


# -- the search for a constant
# --------------------------------------------------------------------------------------

X = np.linspace(0.5, 3, 40)


@pytest.mark.parametrize("wanted", [1e-3, 1e-7, 0.2, 1.000001])
def test_fit_finds_a_constant(wanted: float) -> None:
    found = fit(lambda c: 1 / np.sqrt(X + c), 1 / np.sqrt(X + wanted), 1e-5)
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-13)


def test_fit_gives_up_where_nothing_depends_on_the_constant() -> None:
    assert fit(lambda c: X, X + 1, 1.0) is None
    assert fit(lambda c: X * c, np.ones(3), 1.0) is None
    with np.errstate(all="ignore"):
        assert fit(lambda c: np.full(3, np.nan), np.ones(3), 1.0) is None


# -- differences
# ------------------------------------------------------------------------------------------------


def one(f: Any, at: float) -> tuple[float, float]:
    return refined_derivative(
        lambda p: float(f(p["w"][0])), {"w": np.array([at])}, {"w": np.array([1.0])}
    )


@pytest.mark.parametrize(
    ("f", "slope", "at"),
    [
        (np.sin, np.cos(0.7), 0.7),
        (np.exp, np.exp(2.0), 2.0),
        # kinks beside the point, nearer than the longest steps
        (abs, 1.0, 1e-3),
        (abs, -1.0, -3e-5),
        (lambda x: max(x, 0.0) + x**2, 1 + 2e-4, 1e-4),
        (lambda x: max(x, 0.01 * x), 0.01, -2e-5),
    ],
)
def test_refined_derivative_survives_curves_and_kinks(f: Any, slope: float, at: float) -> None:
    value, error = one(f, at)
    assert abs(value - slope) <= 10 * error + 1e-9
    assert error < 1e-6


def test_refined_derivative_says_that_it_fails_at_a_kink() -> None:
    """Astride a kink of two slopes every step gives their mean: the error cannot show it, the mean
    is what there is.
    """
    value, _ = one(abs, 0.0)
    assert value == pytest.approx(0.0, abs=1e-9)


# -- gates
# ------------------------------------------------------------------------------------------------


def test_distances() -> None:
    a, b = np.array([1.0, -2.0, 4.0]), np.array([1.0, -2.001, 4.0])
    assert absolute(a, b) == pytest.approx(1e-3)
    assert relative(b, a) == pytest.approx(1e-3 / 4)
    assert relative(np.zeros(2), np.zeros(2)) == 0.0
    assert scale(np.zeros(2)) == 1.0
    assert absolute(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_infinitely_far(bad: float) -> None:
    a, b = np.array([1.0, 2.0]), np.array([1.0, bad])
    assert absolute(a, b) == absolute(b, a) == np.inf
    assert relative(a, b) == np.inf
    # on both sides at the same place there is nothing to compare
    assert absolute(b, b) == 0.0
    assert absolute(b, np.array([1.5, bad])) == 0.5


def test_other_shapes_and_missing_arrays_are_infinitely_far() -> None:
    assert absolute(np.zeros(3), np.zeros((3, 1))) == np.inf
    assert absolute(None, np.zeros(3)) == np.inf


def check(
    quantity: str = "forward", worst: float = 0.0, tolerance: float = 1.0, **more: Any
) -> Check:
    values = {"runtime": "a", "against": "formula", "layer": None, "dtype": "float64", **more}
    return Check(quantity=Quantity(quantity), worst=worst, tolerance=tolerance, **values)


def test_nan_does_not_pass() -> None:
    assert check(worst=1.0).passed
    assert not check(worst=np.nextafter(1.0, 2.0)).passed
    assert not check(worst=np.nan).passed
    assert check(worst=np.nan).severity == np.inf
    assert check(worst=0.0, tolerance=0.0).passed
    assert check(worst=1e-300, tolerance=0.0).severity == np.inf


def test_summary_keeps_the_first_that_failed_or_the_closest() -> None:
    passing = [check(worst=w, layer=f"l{k}") for k, w in enumerate((0.1, 0.9, 0.3))]
    assert [c.layer for c in summarize(passing)] == ["l1"]
    failing = [*passing, check(worst=2.0, layer="first"), check(worst=9.0, layer="second")]
    assert [c.layer for c in summarize(failing)] == ["first"]
    apart = [
        check("loss"),
        check("forward"),
        check("forward", runtime="b"),
        check("forward", dtype="float32"),
    ]
    assert len(summarize(apart)) == 4


# -- causes
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        (["forward", "forward, training", "loss", "gradient"], ["forward"]),
        (["loss", "gradient", "loss 1", "update"], ["loss", "update"]),
        (["gradient", "update"], ["gradient", "update"]),
        (["forward", "update", "running statistics"], ["forward", "update"]),
        (["round trip", "forward", "update"], ["round trip"]),
        (["loss 2", "update", "forward after updates"], ["forward after updates"]),
        (["running statistics", "logits"], ["running statistics"]),
        (["loss, every step", "update"], ["update"]),
        (["loss, every step"], ["loss, every step"]),
        (["update after load", "long pieces"], ["update after load"]),
        (["long pieces", "loss of long pieces"], ["long pieces"]),
        ([], []),
    ],
)
def test_only_causes_are_told(failed: list[str], told: list[str]) -> None:
    checks = [
        check(name.rstrip(" 12"), worst=2.0, step=int(name[-1]) if name[-1].isdigit() else None)
        for name in failed
    ]
    assert [cause.quantity for cause in root_causes(checks)] == [
        name.rstrip(" 12") for name in told
    ]
