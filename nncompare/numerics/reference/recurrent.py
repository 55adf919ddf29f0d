"""Simple RNN, LSTM and GRU, step by step. Sequences ``(N, T, F)``, start from a state of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nncompare.numerics.losses import sigmoid
from nncompare.numerics.reference.registry import formula
from nncompare.numerics.reference.run import Array, Params, Run
from nncompare.numerics.semantics import SECOND_BIAS
from nncompare.spec.layers.recurrent import Gru, Lstm, Rnn
from nncompare.spec.model import Node


def _start(node: Node, x: Array) -> Array:
    return np.zeros((len(x), int(node.output.shape[-1])))


def _result(node: Node, states: Sequence[Array]) -> Array:
    """``(N, T, units)`` or the last step's ``(N, units)``."""
    layer: Any = node.layer
    return np.stack(states, axis=1) if layer.return_sequences else states[-1]


def _bias(p: Params) -> Array:
    """The bias of all gates, ``(gates*units,)``; of two biases only their sum is used."""
    return p["bias"] + p[SECOND_BIAS] if SECOND_BIAS in p else p["bias"]


@formula(Rnn)
def rnn(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``h_t = tanh(x_t W + h_{t-1} U + b)`` (Elman 1990)."""
    h = _start(node, x)
    states = []
    for step in range(x.shape[1]):
        h = np.tanh(x[:, step] @ p["kernel"] + h @ p["recurrent_kernel"] + _bias(p))
        states.append(h)
    return _result(node, states)


@formula(Lstm)
def lstm(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``c_t = f c_{t-1} + i g``, ``h_t = o tanh(c_t)`` (Gers, Schmidhuber and Cummins 2000). Gates
    i, f, g, o.
    """
    h = _start(node, x)
    c = h
    states = []
    for step in range(x.shape[1]):
        gates = x[:, step] @ p["kernel"] + h @ p["recurrent_kernel"] + _bias(p)
        # one product for all gates, which stand side by side
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return _result(node, states)


@formula(Gru)
def gru(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``n = tanh(x W_n + b_n + r (h U_n + c_n))``, ``h_t = (1 - z) n + z h_{t-1}``: Cho et al. 2014
    with the reset gate after the product (Appleyard et al. 2016, as in cuDNN). Gates r, z, n; ``c``
    is ``recurrent_bias``.
    """
    h = _start(node, x)
    states = []
    for step in range(x.shape[1]):
        # two products: the reset gate multiplies the second one only
        x_r, x_z, x_n = np.split(x[:, step] @ p["kernel"] + p["bias"], 3, axis=-1)
        h_r, h_z, h_n = np.split(h @ p["recurrent_kernel"] + p["recurrent_bias"], 3, axis=-1)
        r = sigmoid(x_r + h_r)
        z = sigmoid(x_z + h_z)
        h = (1 - z) * np.tanh(x_n + r * h_n) + z * h
        states.append(h)
    return _result(node, states)
