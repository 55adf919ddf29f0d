"""A wrong layer is explained from its own description alone, whatever layer it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from nncompare.numerics.keys import generator
from nncompare.numerics.reference import FORWARD
from nncompare.numerics.semantics import ALIGNED
from nncompare.spec.layers import LAYERS, Layer, TensorSpec
from nncompare.spec.model import Node, resolve
from nncompare.spec.training import Train
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation import layer as layers
from nncompare.studies.verify.explanation.changed import Inputs, meanings, other_values
from nncompare.studies.verify.explanation.layer import LayerAtWork, looks_like
from nncompare.studies.verify.explanation.matching import Target

TABLE = TensorSpec((6,))
SEQUENCE = TensorSpec((5, 6))
IMAGE = TensorSpec((6, 6, 3))
TOKENS = TensorSpec((5,), 9)
PLACES: dict[str, tuple[dict[str, Any], TensorSpec]] = {
    "dense": ({"units": 6}, TABLE),
    "conv2d": ({"filters": 3, "kernel": 3, "stride": 2, "padding": "same"}, IMAGE),
    "max_pool2d": ({"pool": 3, "stride": 2, "padding": "same"}, IMAGE),
    "avg_pool2d": ({"pool": 3, "stride": 2, "padding": "same"}, IMAGE),
    "flatten": ({}, IMAGE),
    "reshape": ({"shape": [9, 12]}, IMAGE),
    "embedding": ({"units": 4}, TOKENS),
    "rnn": ({"units": 4, "return_sequences": True}, SEQUENCE),
    "lstm": ({"units": 4, "return_sequences": True}, SEQUENCE),
    "gru": ({"units": 4}, SEQUENCE),
    "attention": ({"heads": 2, "causal": True}, SEQUENCE),
    "batch_norm": ({}, IMAGE),
    "dropout": ({"rate": 0.3}, SEQUENCE),
    "leaky_relu": ({"slope": 0.05}, SEQUENCE),
}
"""Fields and input of the layers that do not take a sequence as they are."""
KINDS = [kind for kind, described in LAYERS.items() if "layers" not in described.model_fields]


def keep(_: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Two of three."""
    return np.arange(np.prod(shape)).reshape(shape) % 3 > 0


class Work:
    """A layer on random numbers, and what it gives with one thing changed."""

    def __init__(self, layer: Layer, spec: TensorSpec, *, training: bool):
        (self.node,) = resolve([layer], spec).nodes
        stream = generator(0, f"explanation/{layer.type}")
        shape = (7, *spec.shape)
        tokens = spec.vocabulary
        self.x = stream.integers(0, tokens, shape) if tokens else stream.normal(size=shape)
        self.own = {item.name: stream.normal(size=item.shape) for item in self.node.parameters}
        if "running_variance" in self.own:
            self.own["running_variance"] = 0.5 + self.own["running_variance"] ** 2
        self.layer = LayerAtWork(node=self.node, own=self.own, x=self.x, masks=keep)
        self.inputs = Inputs(context=context(self.node), part=layer, training=training)

    def target(self, given: np.ndarray[Any, Any], tolerance: float = 1e-9) -> Target:
        training = self.inputs.training
        made = self.layer.target(self.inputs.context, given, training=training, tolerance=tolerance)
        return replace(made, inputs=self.inputs)

    def output(
        self,
        *,
        layer: Layer | None = None,
        own: Mapping[str, Any] | None = None,
        x: Any = None,
    ) -> np.ndarray[Any, Any]:
        values = {**(own or {}), **({} if x is None else {"input": x})}
        changed = self.inputs.with_values(values)
        return self.layer.output(replace(changed, part=layer or self.node.layer))


def of_kind(kind: str, *, training: bool = False) -> Work:
    fields, spec = PLACES.get(kind, ({}, SEQUENCE))
    return Work(LAYERS[kind](type=kind, **fields), spec, training=training)


def context(node: Node) -> Any:
    """What an explanation asks of an experiment."""
    model = SimpleNamespace(walk=lambda: [node], nodes=[node], parameters={})
    experiment = SimpleNamespace(train=Train(), task="classification")
    job: Any = SimpleNamespace(model=model, experiment=experiment, dtype="float64", native=False)
    data: Any = None
    return Context(job, data, 0, ALIGNED)


def words_for(
    work: Work, given: np.ndarray[Any, Any] | None, tolerance: float = 1e-9
) -> str | None:
    assert given is not None
    return looks_like(work.layer, work.target(given, tolerance))


def right(work: Work) -> np.ndarray[Any, Any]:
    return np.asarray(work.output(), np.float64)


def changes(work: Work) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Every change that an explanation tries and that shows."""
    expected, inputs = right(work), work.inputs
    target = work.target(expected)
    tried = [*meanings(inputs), *other_values(inputs), *layers.changes(work.layer, inputs)]
    for words, changed in tried:
        with np.errstate(all="ignore"):
            made = target.made(changed)
        if made is None or made.shape != expected.shape or not np.isfinite(made).all():
            continue
        if relative(made, expected) > 1e-6:
            yield words, made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_a_right_layer_looks_like_nothing(kind: str, training: bool) -> None:
    work = of_kind(kind, training=training)
    assert words_for(work, right(work)) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_every_change_is_recognized(kind: str, training: bool) -> None:
    """By its own words, or by those of another one that gives the same numbers."""
    work = of_kind(kind, training=training)
    tried = list(changes(work))
    assert tried, "nothing can go wrong with this layer"
    for words, made in tried:
        told = words_for(work, made)
        assert told is not None, words
        same = [other for other, value in tried if relative(value, made) < 1e-9]
        # the layer's own number is asked for first, and it may do the same
        assert told in same or "in place of" in told, f"{words} is taken for {told}"


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("layer_norm", {"epsilon": 0.0123}, "epsilon 0.0123 in place of 1e-05"),
        ("batch_norm", {"epsilon": 2.5e-4}, "epsilon 0.00025 in place of 1e-05"),
        ("leaky_relu", {"slope": 0.17}, "slope 0.17 in place of 0.05"),
        ("dropout", {"rate": 0.31}, "rate 0.31 in place of 0.3"),
        ("gelu", {"approximate": True}, "approximate yes in place of no"),
        ("attention", {"causal": False}, "causal no in place of yes"),
        ("avg_pool2d", {"padding": "same"}, None),
    ],
)
def test_any_other_value_of_a_field_is_found(
    kind: str, fields: dict[str, Any], words: str | None
) -> None:
    work = of_kind(kind, training=True)
    wrong = work.output(layer=work.node.layer.model_copy(update=fields))
    assert words_for(work, wrong) == words


@pytest.mark.parametrize("kind", [kind for kind in KINDS if of_kind(kind).own])
def test_a_parameter_that_counts_another_number_of_times_is_found(kind: str) -> None:
    work = of_kind(kind)
    for name in work.own:
        wrong = work.output(own={name: 1.25 * work.own[name]})
        if relative(wrong, right(work)) > 1e-6:
            told = words_for(work, wrong)
            assert told is not None, name
            assert "1.25" in told or "in place of" in told, told


def test_other_meanings_of_a_knob_are_told_in_the_ledgers_words() -> None:
    work = of_kind("avg_pool2d")
    (other,) = [changed for words, changed in meanings(work.inputs) if "pool" in words]
    wrong = work.layer.output(other)
    assert words_for(work, wrong) == "avg_pool2d padding: counted"


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("lstm", {"order": (0, 1, 3, 2)}, "in the order 1, 2, 4, 3"),
        ("gru", {"order": (1, 0, 2)}, "in the order 2, 1, 3"),
    ],
)
def test_gates_in_another_order_are_found(kind: str, change: dict[str, Any], words: str) -> None:
    work = of_kind(kind)
    own = {name: layers.in_order(value, change["order"]) for name, value in work.own.items()}
    assert words in str(words_for(work, work.output(own=own)))


def test_parameters_that_are_exchanged_are_found() -> None:
    work = of_kind("attention")
    own = {
        f"{a}_{kind}": work.own[f"{b}_{kind}"]
        for a, b in (("query", "value"), ("value", "query"))
        for kind in ("kernel", "bias")
    }
    told = words_for(work, work.output(own=own))
    assert told == "query_kernel, query_bias and value_kernel, value_bias are exchanged"


def test_axes_in_another_order_are_found() -> None:
    work = of_kind("flatten")
    wrong = np.moveaxis(work.x, -1, 1).reshape(len(work.x), -1)
    assert words_for(work, wrong) == "its input's axes in the order 3, 1, 2"
    rnn = of_kind("rnn")
    own = {"recurrent_kernel": rnn.own["recurrent_kernel"].T}
    told = words_for(rnn, rnn.output(own=own))
    assert told == "the last two axes of recurrent_kernel are exchanged"


def test_padding_on_the_other_side_is_found() -> None:
    work = of_kind("conv2d")
    own = {"kernel": work.own["kernel"][::-1, ::-1]}
    mirrored = work.output(x=work.x[:, ::-1, ::-1], own=own)
    assert "padding before, not after" in str(words_for(work, mirrored[:, ::-1, ::-1]))


def test_a_number_that_is_off_by_a_rounding_is_found() -> None:
    work = of_kind("attention")
    own = {name: work.own[name] * (1 + 3e-8) for name in ("query_kernel", "query_bias")}
    told = words_for(work, work.output(own=own))
    # the softmax makes both the same
    assert told in ("query_kernel, query_bias times 1.00000003", "key_kernel times 1.00000003")


def test_float32_outputs_are_explained_within_their_rounding() -> None:
    work = of_kind("layer_norm")
    wrong = work.output(layer=work.node.layer.model_copy(update={"epsilon": 1e-3}))
    told = words_for(work, wrong.astype(np.float32), 3e-4)
    assert told is not None
    assert told.startswith("epsilon 0.001")
    assert told.endswith("in place of 1e-05")


@pytest.mark.parametrize(
    ("kind", "place", "words"),
    [
        ("gru", np.s_[:, 2], "only 3 of 4 along axis 1 is off"),
        ("lstm", np.s_[:, 4], "only 5 of 5 along axis 1 is off"),
        ("conv2d", np.s_[:, 0], "only 1 of 3 along axis 1 is off"),
        ("dense", np.s_[6], "only 7 of 7 along axis 0 is off"),
    ],
)
def test_a_part_that_is_off_is_named(kind: str, place: Any, words: str) -> None:
    work = of_kind(kind)
    wrong = right(work).copy()
    wrong[place] += np.linspace(0.5, 1.5, wrong[place].size).reshape(wrong[place].shape)
    assert words_for(work, wrong) == words


class Blend(Layer):
    """A layer that nobody has heard of: ``a scale x + b``, or without ``b``; ``b`` is added where
    ``side`` says.
    """

    title: ClassVar[str] = "for this test"
    type: Literal["blend"] = "blend"
    a: float = 0.5
    b: float = 2.0
    shifted: bool = True
    side: Literal["after", "before"] = "after"

    def output(self, x: TensorSpec) -> TensorSpec:
        return x


def blend(node: Any, _p: Any, x: Any, _run: Any) -> Any:
    it = node.layer
    shift = it.b if it.shifted else 0.0
    return it.a * x + shift if it.side == "after" else it.a * (x + shift)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"a": 0.75}, "a 0.75 in place of 0.5"),
        ({"b": -1.0}, "b -1 in place of 2"),
        ({"shifted": False}, "shifted no in place of yes"),
        ({"side": "before"}, "side before in place of after"),
    ],
)
def test_a_new_layer_is_explained_on_its_first_day(
    fields: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORWARD, "blend", blend)
    work = Work(Blend(), TABLE, training=False)
    wrong = work.output(layer=work.node.layer.model_copy(update=fields))
    assert words_for(work, wrong) == words
