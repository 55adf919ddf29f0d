"""What a layer says of itself agrees with what it does."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from nncompare.numerics import reference
from nncompare.numerics.reference.kinks import Sides
from nncompare.spec.layers import LAYERS, AvgPool2d, Layer, TensorSpec
from nncompare.spec.model import Node
from nncompare.testing.case import Case
from nncompare.testing.cases import CASES


def nodes_of(kind: str) -> list[tuple[Case, Node]]:
    """Every place of a layer among the cases of the conformance suite."""
    return [
        (case, node)
        for case in CASES.values()
        for node in case.model.walk()
        if node.layer.type == kind
    ]


@pytest.mark.parametrize("kind", LAYERS)
def test_traits_agree_with_parameters_and_fields(kind: str) -> None:
    for case, node in nodes_of(kind):
        layer, roles = node.layer, {item.role for item in node.parameters}
        assert layer.recurrent == ("recurrent" in roles)
        assert (layer.running_momentum is not None) == ("running" in roles)
        assert layer.takes_tokens == node.input.is_tokens
        assert bool(layer.inside) == bool(node.children)
        if not layer.computes:
            assert not node.parameters
            assert layer.flops(node.input) == 0
        assert (node.name in case.model.drop_rates) == (layer.drop_rate is not None)


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_inside_are_the_fields_that_hold_layers(kind: str) -> None:
    fields = LAYERS[kind].model_fields
    assert set(LAYERS[kind].inside) == {
        name for name, field in fields.items() if _holds_layers(field.annotation)
    }


def _holds_layers(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Layer):
        return True
    return any(_holds_layers(part) for part in get_args(annotation))


@pytest.mark.parametrize("kind", LAYERS)
def test_training_differs_where_a_layer_says_so(kind: str) -> None:
    # dropout that drops nothing is the identity
    places = [(case, node) for case, node in nodes_of(kind) if node.layer.drop_rate != 0.0]
    case, node = places[0]
    inference = _output(case, node, training=False)
    training = _output(case, node, training=True)
    differs = any(item.layer.differs_in_training for item in node.walk())
    assert np.array_equal(inference, training) == (not differs)


def _output(case: Case, node: Node, *, training: bool) -> Any:
    run = reference.Run(
        params=case.params,
        forward=reference.FORWARD,
        training=training,
        masks=lambda _node, shape: np.arange(np.prod(shape)).reshape(shape) % 2 == 0,
    )
    return run.chain([node], _input(node))


def _input(node: Node) -> Any:
    stream = np.random.default_rng(1)
    shape = (4, *node.input.shape)
    if node.input.vocabulary is not None:
        return stream.integers(0, node.input.vocabulary, shape)
    return stream.normal(size=shape)


def test_every_kink_can_be_held() -> None:
    """``smooth_loss`` holds the kinks of exactly the layers that have some."""
    held = {
        kind
        for kind, formula in Sides(reference.FORWARD).table.items()
        if formula is not reference.FORWARD[kind]
    }
    assert held == {kind for kind, cls in LAYERS.items() if cls.kinked}


@pytest.mark.parametrize(
    ("layer", "shape", "padded"),
    [
        (AvgPool2d(pool=(2, 2), padding="valid"), (5, 5, 1), False),
        (AvgPool2d(pool=(2, 2), padding="same"), (4, 4, 1), False),
        (AvgPool2d(pool=(2, 2), padding="same"), (5, 4, 1), True),
    ],
)
def test_whether_a_mean_counts_padding_depends_on_the_input(
    layer: Layer, shape: tuple[int, ...], padded: bool
) -> None:
    assert layer.averages_padding(TensorSpec(shape)) == padded


def test_only_means_ask_about_padding() -> None:
    assert [
        kind
        for kind in LAYERS
        if any(node.layer.averages_padding(node.input) for _, node in nodes_of(kind))
    ] == ["avg_pool2d"]
