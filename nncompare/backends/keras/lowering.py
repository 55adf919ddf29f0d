"""What the builders of Keras layers share, and how a whole model becomes a functional
``keras.Model``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from nncompare.backends.keras.binding import Binding
from nncompare.backends.registry import Unsupported
from nncompare.spec.job import Job
from nncompare.spec.model import Model, Node

Builder = Callable[[Node, Any, "Lowering"], Any]
"""A lowering: from a node and its symbolic input to its symbolic output."""


@dataclass(kw_only=True)
class Lowering:
    """What the builders share while a model is made, and what they leave behind.

    Args:
        job: what is asked.
        regularizer: of every kernel, or None.
        bindings: canonical parameter name -> where Keras keeps it.
        outputs: node name -> its symbolic output.
        builders: layer type -> its builder.
        masked: the dropout layers that read their masks, each with ``draw(step, examples)``.
    """

    job: Job
    regularizer: Any
    builders: Mapping[str, Builder]
    bindings: dict[str, Binding] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    masked: list[Any] = field(default_factory=list)

    @property
    def dtype(self) -> str:
        return self.job.dtype.name

    def bind(self, node: Node, **bindings: Binding | Any) -> None:
        """Says where the node's parameters are: ``kernel=layer.kernel``."""
        for name, place in bindings.items():
            self.bindings[f"{node.name}.{name}"] = (
                place if isinstance(place, Binding) else Binding(place)
            )


def lower_model(model: Model, into: Lowering) -> Any:
    """The functional Keras model, ``(N, *input) -> (N, *output)``; where its parts are is noted in
    ``into``.

    Raises:
        Unsupported: a layer has no lowering.
    """
    dtype = "int32" if model.input.is_tokens else into.dtype
    inputs = keras.Input(model.input.shape, dtype=dtype, name="input")
    x = inputs
    for node in model.nodes:
        x = lower(node, x, into)
    return keras.Model(inputs, x, name="model")


def lower(node: Node, x: Any, into: Lowering) -> Any:
    """The node's symbolic output for the symbolic input ``x``; notes its parameters in ``into``."""
    builder = into.builders.get(node.layer.type)
    if builder is None:
        raise Unsupported(f"{node.layer.type}: no lowering for Keras")
    y = builder(node, x, into)
    into.outputs[node.name] = y
    return y
