"""Dense layers, embeddings and learned positions."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor

from nncompare.backends.keras.lowering import Build, lowering
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
    build.store(node, kernel=layer.kernel, bias=layer.bias)
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

    # Keras calls ``build`` with the batch axis before the first ``call``
    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight(name="table", shape=input_shape[1:], initializer=self._start)

    def call(self, inputs: Any) -> Any:
        return inputs + self.table


@lowering(Position)
def position(node: Node[Position], x: KerasTensor, build: Build) -> KerasTensor:
    """An own layer, since Keras has none."""
    # natively as ``keras.layers.Embedding`` starts; else ``load`` brings the numbers
    start = "uniform" if build.native else "zeros"
    layer = _Position(start=start, name=node.name)
    y = layer(x)
    build.store(node, table=layer.table)
    return y
