"""Dense layers, embeddings and learned positions."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor

from nncompare.backends.keras.lowering import Build, lowering, native_lowering
from nncompare.spec.layers.linear import Dense, Embedding, Position
from nncompare.spec.model import Node


@lowering(Dense)
def dense(node: Node[Dense], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.Dense``."""
    spec = node.layer
    layer = keras.layers.Dense(
        spec.units, use_bias=spec.bias, kernel_regularizer=build.regularizer, name=node.name
    )
    y = layer(x)
    build.store(node, kernel=layer.kernel, **({"bias": layer.bias} if spec.bias else {}))
    return y


@lowering(Embedding)
def embedding(node: Node[Embedding], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.Embedding``."""
    layer = keras.layers.Embedding(node.input.vocabulary, node.layer.units, name=node.name)
    y = layer(x)
    build.store(node, table=layer.embeddings)
    return y


class _Position(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """Adds a learned vector to every step (Gehring et al. 2017). ``(N, T, E) -> (N, T, E)``."""

    def __init__(self, *, start: str, name: str):
        super().__init__(name=name)
        self._start = start

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight(name="table", shape=input_shape[1:], initializer=self._start)

    def call(self, inputs: Any) -> Any:
        return inputs + self.table


@lowering(Position)
def position(node: Node[Position], x: KerasTensor, build: Build) -> KerasTensor:
    """An own layer, since Keras has none."""
    return _add_position(node, x, build, start="zeros")


@native_lowering(Position)
def native_position(node: Node[Position], x: KerasTensor, build: Build) -> KerasTensor:
    """The same, started as ``keras.layers.Embedding`` starts."""
    return _add_position(node, x, build, start="uniform")


def _add_position(node: Node[Position], x: KerasTensor, build: Build, start: str) -> KerasTensor:
    layer = _Position(start=start, name=node.name)
    y = layer(x)
    build.store(node, table=layer.table)
    return y
