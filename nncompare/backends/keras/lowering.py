"""How a layer becomes a Keras layer, and where Keras keeps its canonical parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from nncompare.backends.base import Array
from nncompare.backends.registry import Registry
from nncompare.numerics.layout import reorder_gates
from nncompare.spec.layers import Layer
from nncompare.spec.model import Node

Builder = Callable[[Node[Any], keras.KerasTensor, "Build"], keras.KerasTensor]
"""A lowering: the symbolic output of a node for its symbolic input; notes its parameters in
``build``.
"""

UNSUPPORTED: dict[type[Layer], str] = {}
"""Layer -> why Keras cannot have it. Nothing is missing."""
LOWERINGS: Registry[Layer, Builder] = Registry("keras", UNSUPPORTED)


lowering = LOWERINGS.form
"""Registers the lowering of a layer, with Keras's own values for its open fields."""
native_lowering = LOWERINGS.native_form
"""Registers a layer as Keras ships it, where that is another than its lowering."""


@dataclass(frozen=True)
class Stored:
    """Where one canonical parameter lives.

    Args:
        variable: the Keras variable.
        row: the parameter is this row of the variable; None: all of it.
        gates: the order of the gates on the last axis, (Keras's, canonical); empty: no gates or the
            same order.
    """

    variable: Any
    row: int | None = None
    gates: tuple[str, str] = ("", "")

    def to_canonical(self, value: Array) -> Array:
        """The parameter in a value (or gradient) of the variable; a copy."""
        part = value if self.row is None else value[self.row]
        return reorder_gates(part, *self.gates).copy()

    def read(self) -> Array:
        """A copy in canonical layout."""
        return self.to_canonical(self.variable.numpy())

    def write(self, array: Array) -> None:
        """The variable (or its row) := ``array``, given in canonical layout."""
        native = reorder_gates(array, *reversed(self.gates))
        if self.row is not None:
            # Keras assigns a whole variable: the other rows stay
            whole = self.variable.numpy().copy()
            whole[self.row] = native
            native = whole
        self.variable.assign(native)


@dataclass(kw_only=True)
class Build:
    """What the lowerings need to know, and where they write down what they made.

    Args:
        dtype: of every variable.
        seed: of the job.
        native: every layer as Keras ships it.
        compiled: XLA compiles the step.
        masked: dropout takes masks that every backend shares; else Keras draws its own.
        regularizer: of every kernel, or None.
        stored: canonical parameter name -> where it lives.
        outputs: node name -> its symbolic output.
        dropouts: the layers that read their masks, each with ``draw(step, examples)``.
    """

    dtype: str
    seed: int
    native: bool
    compiled: bool
    masked: bool
    regularizer: Any
    stored: dict[str, Stored] = field(default_factory=dict)
    outputs: dict[str, keras.KerasTensor] = field(default_factory=dict)
    dropouts: list[Any] = field(default_factory=list)

    def store(self, node: Node, **places: Any) -> None:
        """Notes where the parameters of ``node`` live: ``kernel=layer.kernel``, or a ``Stored``.

        Places that the node has no parameter for are left out: a layer without bias, for instance,
        has None.
        """
        for item in node.parameters:
            place = places[item.name]
            stored = place if isinstance(place, Stored) else Stored(place)
            self.stored[f"{node.name}.{item.name}"] = stored


def lower(node: Node, x: keras.KerasTensor, build: Build) -> keras.KerasTensor:
    """The node's symbolic output for the symbolic input ``x``.

    Raises:
        Unsupported: Keras has no such layer, with the reason.
    """
    builder = LOWERINGS.find(type(node.layer), native=build.native)
    y = builder(node, x, build)
    build.outputs[node.name] = y
    return y


def lower_chain(nodes: Sequence[Node], x: keras.KerasTensor, build: Build) -> keras.KerasTensor:
    """The nodes one after the other; no node: ``x`` itself."""
    for node in nodes:
        x = lower(node, x, build)
    return x
