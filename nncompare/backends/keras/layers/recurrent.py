"""Simple RNN, LSTM and GRU as Keras layers."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor

from nncompare.backends.keras.lowering import Build, Stored, lowering
from nncompare.numerics.layout import GRU_GATES
from nncompare.spec.layers.recurrent import Gru, Lstm, Rnn
from nncompare.spec.model import Node

_KERAS_GRU_GATES = "zrn"
"""Keras's order; its LSTM's ``i, f, c, o`` is the canonical ``i, f, g, o``."""


@lowering(Rnn)
def rnn(node: Node[Rnn], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.SimpleRNN``."""
    return _with_one_bias(keras.layers.SimpleRNN(**_arguments(node, build)), node, x, build)


@lowering(Lstm)
def lstm(node: Node[Lstm], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.LSTM``."""
    layer = keras.layers.LSTM(**_arguments(node, build), use_cudnn=_cudnn(build))
    return _with_one_bias(layer, node, x, build)


def _with_one_bias(
    layer: Any, node: Node[Rnn] | Node[Lstm], x: KerasTensor, build: Build
) -> KerasTensor:
    """The layer's symbolic output; notes its parameters, whose layout is the canonical one."""
    y = layer(x)
    cell = layer.cell
    build.store(node, kernel=cell.kernel, recurrent_kernel=cell.recurrent_kernel, bias=cell.bias)
    return y


@lowering(Gru)
def gru(node: Node[Gru], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.GRU`` with the reset gate after the product; both biases are rows of one
    variable.
    """
    # Keras's default, said since the canonical formula depends on it
    layer = keras.layers.GRU(**_arguments(node, build), reset_after=True, use_cudnn=_cudnn(build))
    y = layer(x)
    cell = layer.cell
    gates = (_KERAS_GRU_GATES, GRU_GATES)
    build.store(
        node,
        kernel=Stored(cell.kernel, gates=gates),
        recurrent_kernel=Stored(cell.recurrent_kernel, gates=gates),
        bias=Stored(cell.bias, row=0, gates=gates),
        recurrent_bias=Stored(cell.bias, row=1, gates=gates),
    )
    return y


def _arguments(node: Node[Rnn] | Node[Lstm] | Node[Gru], build: Build) -> dict[str, Any]:
    return {
        "units": node.layer.units,
        "return_sequences": node.layer.return_sequences,
        "kernel_regularizer": build.regularizer,
        "recurrent_regularizer": build.regularizer,
        "name": node.name,
    }


def _cudnn(build: Build) -> bool | str:
    # XLA cannot compile a model that holds a cuDNN kernel, and Keras would silently leave XLA out
    return False if build.compiled else "auto"
