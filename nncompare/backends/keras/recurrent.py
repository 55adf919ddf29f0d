"""Simple RNN, LSTM and GRU as Keras layers."""

from __future__ import annotations

from typing import Any

import keras

from nncompare.backends.keras.binding import Binding
from nncompare.backends.keras.lowering import Lowering
from nncompare.numerics.layout import GRU_GATES
from nncompare.spec.model import Node

KERAS_GRU_GATES = "zrn"
"""Keras's order; its LSTM's ``i, f, c, o`` is the canonical ``i, f, g, o``."""


def rnn(node: Node, x: Any, into: Lowering) -> Any:
    """``keras.layers.SimpleRNN``."""
    layer = keras.layers.SimpleRNN(**_arguments(node, into))
    y = layer(x)
    cell = layer.cell
    into.bind(node, kernel=cell.kernel, recurrent_kernel=cell.recurrent_kernel, bias=cell.bias)
    return y


def lstm(node: Node, x: Any, into: Lowering) -> Any:
    """``keras.layers.LSTM``."""
    layer = keras.layers.LSTM(**_arguments(node, into), use_cudnn=_cudnn(into))
    y = layer(x)
    cell = layer.cell
    into.bind(node, kernel=cell.kernel, recurrent_kernel=cell.recurrent_kernel, bias=cell.bias)
    return y


def gru(node: Node, x: Any, into: Lowering) -> Any:
    """``keras.layers.GRU`` with the reset gate after the product; both biases are rows of one
    variable.
    """
    layer = keras.layers.GRU(**_arguments(node, into), reset_after=True, use_cudnn=_cudnn(into))
    y = layer(x)
    cell, gates = layer.cell, (KERAS_GRU_GATES, GRU_GATES)
    into.bind(
        node,
        kernel=Binding(cell.kernel, gates=gates),
        recurrent_kernel=Binding(cell.recurrent_kernel, gates=gates),
        bias=Binding(cell.bias, row=0, gates=gates),
        recurrent_bias=Binding(cell.bias, row=1, gates=gates),
    )
    return y


def _arguments(node: Node, into: Lowering) -> dict[str, Any]:
    spec: Any = node.layer
    return {
        "units": spec.units,
        "return_sequences": spec.return_sequences,
        "kernel_regularizer": into.regularizer,
        "recurrent_regularizer": into.regularizer,
        "name": node.name,
    }


def _cudnn(into: Lowering) -> bool | str:
    # XLA cannot compile a model that holds a cuDNN kernel, and Keras would silently leave XLA out
    return False if into.job.mode == "xla" else "auto"
