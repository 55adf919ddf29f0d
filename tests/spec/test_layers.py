"""What a layer says of itself agrees with what it does."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import numpy as np
import pytest
from pydantic import Field, ValidationError

from nncompare.numerics import reference
from nncompare.spec import layers
from nncompare.spec.data import Signature
from nncompare.spec.families import Family, Mlp, Recurrent
from nncompare.spec.frozen import Frozen
from nncompare.spec.layers import LAYERS, Layer, TensorSpec
from nncompare.spec.layers.convolution import AvgPool2d
from nncompare.spec.model import Node
from nncompare.spec.unions import members, word_of
from nncompare.testing.case import Case
from nncompare.testing.cases import CASES

SEQUENCE = TensorSpec((5, 4))
FLAT = TensorSpec((6,))


def nodes_of(kind: str) -> list[tuple[Case, Node]]:
    """Every place of a layer among the cases of the conformance suite."""
    return [
        (case, node)
        for case in CASES.values()
        for node in case.model.walk()
        if node.layer.type == kind
    ]


def test_every_layer_class_is_found_by_itself() -> None:
    # a test may have invented a layer in this process
    shipped = {cls for cls in _subclasses(Layer) if cls.__module__.startswith("nncompare.")}
    finished = {cls for cls in shipped if word_of(cls, "type") is not None}
    assert set(LAYERS.values()) == finished
    assert all(word_of(cls, "type") == kind for kind, cls in LAYERS.items())


def test_lists_begin_with_the_layers_that_everybody_knows() -> None:
    modules = {cls.__module__.rpartition(".")[2] for cls in LAYERS.values()}
    assert set(layers._READING_ORDER) == modules
    assert next(iter(LAYERS)) == "dense"


def _subclasses(cls: type[Layer]) -> set[type[Layer]]:
    direct = set(cls.__subclasses__())
    return direct.union(*(_subclasses(item) for item in direct))


def test_families_offer_what_layers_say() -> None:
    for kind in LAYERS:
        offered = _accepts(Mlp, activation=kind), _accepts(Recurrent, cell=kind)
        assert offered == (LAYERS[kind].is_activation, LAYERS[kind].recurrent)


def _accepts(family: type[Family], **field: str) -> bool:
    word = word_of(family, "family")
    try:
        model = family.model_validate({"family": word, **field})
    except ValidationError:
        return False
    shape = SEQUENCE if "cell" in field else FLAT
    kinds = {layer.type for layer in model.layers_for(Signature(input=shape, outputs=2))}
    return set(field.values()) <= kinds


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


@pytest.mark.parametrize("kind", LAYERS)
def test_the_formula_of_a_kinked_layer_lets_its_sides_be_held(kind: str) -> None:
    case, node = nodes_of(kind)[0]
    run = reference.Run(params=case.params, forward=reference.FORWARD, sides={})
    run.chain([node], _input(node))
    assert run.sides is not None
    inside = {item.name for item in node.walk() if item.layer.kinked}
    assert set(run.sides) == inside


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


class One(Frozen):
    name: Literal["one"]


class Two(Frozen):
    name: Literal["two"]


def test_members_of_a_union_in_their_order() -> None:
    union = Annotated[Annotated[Two, "a tag"] | One, Field(discriminator="name")]
    assert list(members(union).items()) == [("two", Two), ("one", One)]


def test_a_member_without_a_word_of_its_own_is_refused() -> None:
    class Several(Frozen):
        name: Literal["one", "two"]

    with pytest.raises(TypeError, match=r"Several\.name must be one word"):
        members(Several | Two)
