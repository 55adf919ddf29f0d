"""A model: a list of layers with every name and shape resolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from typing_extensions import TypeVar  # has defaults, which typing has from Python 3.13 on

from nncompare.errors import ShapeError
from nncompare.spec.frozen import LIMIT
from nncompare.spec.layers import Layer, Parameter, TensorSpec
from nncompare.spec.layers.structure import Residual

L = TypeVar("L", bound=Layer, covariant=True, default=Layer)


@dataclass(frozen=True, kw_only=True)
class Node(Generic[L]):
    """One layer at its place. ``Node[Dense]``: of that layer; ``Node``: of any.

    Args:
        name: ``dense_1``, unique in the model; parameters are called ``dense_1.kernel``.
        layer: its description.
        input, output: shapes without the batch axis.
        parameters: of this layer alone, not of its children.
        children, shortcut: the layers inside a ``residual``, else empty.
    """

    name: str
    layer: L
    input: TensorSpec
    output: TensorSpec
    parameters: tuple[Parameter, ...] = ()
    children: tuple[Node, ...] = ()
    shortcut: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """This node, then every node inside it, in order of computation."""
        yield self
        for child in (*self.children, *self.shortcut):
            yield from child.walk()

    @property
    def flops(self) -> int:
        """Forward FLOPs for one example, with the layers inside."""
        inside = sum(node.flops for node in (*self.children, *self.shortcut))
        # the two ways of a residual are added, value by value
        own = self.output.size if self.children else self.layer.flops(self.input)
        return inside + own


@dataclass(frozen=True, kw_only=True)
class Model:
    """A chain of nodes from ``input`` to ``output``."""

    nodes: tuple[Node, ...]
    input: TensorSpec
    output: TensorSpec

    def walk(self) -> Iterator[Node]:
        for node in self.nodes:
            yield from node.walk()

    @property
    def drop_rates(self) -> dict[str, float]:
        """Node name -> the rate with which it drops values in training, for those that do."""
        rates = {node.name: node.layer.drop_rate for node in self.walk()}
        return {name: rate for name, rate in rates.items() if rate is not None}

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Canonical name -> parameter, running statistics included."""
        return {
            f"{node.name}.{item.name}": item for node in self.walk() for item in node.parameters
        }

    @property
    def trainable_count(self) -> int:
        """Number of trained numbers."""
        return sum(item.size for item in self.parameters.values() if item.trainable)

    @property
    def flops(self) -> int:
        """Forward FLOPs for one example."""
        return sum(node.flops for node in self.nodes)

    def training_flops(self, examples: int) -> int:
        """FLOPs of forward and backward for ``examples`` examples.

        The backward pass is counted as twice the forward pass: one product for the inputs'
        gradients, one for the weights'. An estimate, and said to be one wherever it is printed.
        """
        return 3 * self.flops * examples


def resolve(layers: Sequence[Layer], x: TensorSpec, path: str = "model.layers") -> Model:
    """Gives every layer its name and shapes.

    Raises:
        ShapeError: a layer cannot take its input; ``path`` says which.
    """
    nodes = _chain(layers, x, path, Counter())
    return Model(nodes=nodes, input=x, output=nodes[-1].output if nodes else x)


def _chain(
    layers: Sequence[Layer], x: TensorSpec, path: str, seen: Counter[str]
) -> tuple[Node, ...]:
    nodes: list[Node] = []
    for index, layer in enumerate(layers):
        node = _node(layer, x, f"{path}.{index}", seen)
        nodes.append(node)
        x = node.output
    return tuple(nodes)


def _node(layer: Layer, x: TensorSpec, path: str, seen: Counter[str]) -> Node:
    seen[layer.type] += 1
    name = f"{layer.type}_{seen[layer.type]}"
    if isinstance(layer, Residual):
        return _residual(name, layer, x, path, seen)
    try:
        output = layer.output(x)
    except ShapeError as error:
        # the layer does not know its place in the file
        raise ShapeError(error.message, field=error.field, path=path) from None
    parameters = layer.parameters(x)
    sizes = {"its output": output.size} | {item.name: item.size for item in parameters}
    for what, size in sizes.items():
        if size > LIMIT:
            message = f"{name}: {what} would have {size:,} numbers, which no memory holds"
            raise ShapeError(message, field=_largest_field(layer), path=path)
    return Node(name=name, layer=layer, input=x, output=output, parameters=parameters)


def _largest_field(layer: Layer) -> str | None:
    """The field with the largest whole number, which makes a layer as large as it is."""
    largest: dict[str, int] = {}
    for name, value in layer:
        items = value if isinstance(value, tuple) else (value,)
        # a bool is no size
        numbers = [item for item in items if type(item) is int]
        if numbers:
            largest[name] = max(numbers)
    return max(largest, key=largest.__getitem__, default=None)


def _residual(
    name: str, layer: Residual, x: TensorSpec, path: str, seen: Counter[str]
) -> Node[Residual]:
    children = _chain(layer.layers, x, f"{path}.layers", seen)
    shortcut = _chain(layer.shortcut, x, f"{path}.shortcut", seen)
    inner = children[-1].output
    outer = shortcut[-1].output if shortcut else x
    if inner != outer:
        way = "the shortcut gives" if shortcut else "its input has"
        message = (
            f"residual: the layers inside give {inner}, but {way} {outer}; the two are added"
            " and must agree"
        )
        raise ShapeError(message, path=path)
    return Node(name=name, layer=layer, input=x, output=inner, children=children, shortcut=shortcut)
