"""Simple RNN, LSTM and GRU in TensorFlow operations. Gates: LSTM ``i, f, g, o``; GRU ``r,
z, n``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.tensorflow.lowering import Lowered, Pass, affine, lowering
from nncompare.spec.layers.recurrent import Gru, Lstm, Rnn

_State = tuple[Tensor, ...]
"""What one step hands to the next, its output first."""
_Weights = dict[str, Tensor]
_Cell = Callable[[Tensor, _State, _Weights], _State]
"""One step: its input (or projected input) and the state before it give the state after it."""

LONGEST_UNROLLED = 64
"""Steps up to which the recurrence is written out when traced; longer ones become a
``tf.while_loop``.

Measured on CPU (LSTM, 128 x 28 rows, hidden 128, forward and backward): written out takes 0.90 of
the loop's time. Tracing grows with the steps, the loop's does not.
"""
LONGEST_UNROLLED_COMPILED = 8
"""The same where XLA compiles: its time to compile grows faster than the number of operations."""


def longest_unrolled(compiled: bool) -> int:
    """Steps up to which the recurrence is written out."""
    return LONGEST_UNROLLED_COMPILED if compiled else LONGEST_UNROLLED


@lowering(Rnn)
def rnn(module: Lowered[Rnn], x: Tensor, run: Pass) -> Tensor:
    """``h_t = tanh(x_t W + b + h_{t-1} U)`` (Elman 1990)."""
    return _recurrence(module, x, _rnn_cell)


def _rnn_cell(x: Tensor, state: _State, weights: _Weights) -> _State:
    return (tf.tanh(x + tf.matmul(state[0], weights["recurrent_kernel"])),)


@lowering(Lstm)
def lstm(module: Lowered[Lstm], x: Tensor, run: Pass) -> Tensor:
    """``c_t = f c_{t-1} + i g``; ``h_t = o tanh(c_t)`` (Gers, Schmidhuber and Cummins 2000)."""
    return _recurrence(module, x, _lstm_cell, states=2)


def _lstm_cell(x: Tensor, state: _State, weights: _Weights) -> _State:
    h, c = state
    i, f, g, o = tf.split(x + tf.matmul(h, weights["recurrent_kernel"]), 4, axis=-1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


@lowering(Gru)
def gru(module: Lowered[Gru], x: Tensor, run: Pass) -> Tensor:
    """``n = tanh(x W_n + b_n + r (h U_n + c_n))``; ``h_t = (1 - z) n + z h_{t-1}`` (Cho et al.
    2014, with the reset gate after the product, as cuDNN computes it).
    """
    return _recurrence(module, x, _gru_cell)


def _gru_cell(x: Tensor, state: _State, weights: _Weights) -> _State:
    (h,) = state
    units = h.shape[-1]
    inner = affine(h, weights["recurrent_kernel"], weights["recurrent_bias"])
    x_rz, x_n = tf.split(x, [2 * units, units], axis=-1)
    h_rz, h_n = tf.split(inner, [2 * units, units], axis=-1)
    r, z = tf.split(tf.sigmoid(x_rz + h_rz), 2, axis=-1)
    n = tf.tanh(x_n + r * h_n)
    return (n + z * (h - n),)


def _recurrence(
    module: Lowered[Rnn] | Lowered[Lstm] | Lowered[Gru], x: Tensor, cell: _Cell, states: int = 1
) -> Tensor:
    """The cell over axis 1. ``(N, T, F) -> (N, T, units)``, or ``(N, units)`` for the last step
    alone.
    """
    layer = module.layer
    # read once: every further read of a variable would be an operation, and its gradient a summand
    weights = {name: tf.convert_to_tensor(weight) for name, weight in module.weights.items()}
    if module.build.accelerator:
        # one product serves all steps
        source, step = _project(x, weights), cell
    else:
        # Each step multiplies its own input, while it is in the cache: measured faster on a CPU
        # than one product for all steps, whose result travels through memory.
        source, step = x, _projecting(cell)
    zeros = tf.zeros((tf.shape(x)[0], layer.units), x.dtype)
    # made for a size that is a tensor, they have no shape when tracing
    zeros.set_shape((x.shape[0], layer.units))
    start = (zeros,) * states
    if x.shape[1] <= longest_unrolled(module.build.compiled):
        return _unrolled(step, source, start, weights, layer.return_sequences)
    return _looped(step, source, start, weights, layer.return_sequences)


def _project(x: Tensor, weights: _Weights) -> Tensor:
    """``x W + b``. ``(N, …, F) -> (N, …, gates * units)``."""
    return affine(x, weights["kernel"], weights["bias"])


def _projecting(cell: _Cell) -> _Cell:
    """The cell on the input itself."""

    def step(x: Tensor, state: _State, weights: _Weights) -> _State:
        return cell(_project(x, weights), state, weights)

    return step


def _unrolled(
    step: _Cell, source: Tensor, state: _State, weights: _Weights, sequences: bool
) -> Tensor:
    found = []
    for x in tf.unstack(source, axis=1):
        state = step(x, state, weights)
        found.append(state[0])
    return tf.stack(found, axis=1) if sequences else state[0]


def _looped(
    step: _Cell, source: Tensor, state: _State, weights: _Weights, sequences: bool
) -> Tensor:
    steps = source.shape[1]
    source_TNF = tf.transpose(source, (1, 0, 2))
    every = tf.TensorArray(source.dtype, size=steps, element_shape=state[0].shape)

    def body(t: Tensor, every: tf.TensorArray, *state: Tensor) -> tuple[Any, ...]:
        after = step(source_TNF[t], state, weights)
        # TensorFlow keeps the array through the loop, written or not
        written = every.write(t, after[0]) if sequences else every
        return (t + 1, written, *after)

    found = tf.while_loop(
        lambda t, *_: t < steps, body, (tf.constant(0), every, *state), maximum_iterations=steps
    )
    return tf.transpose(found[1].stack(), (1, 0, 2)) if sequences else found[2]
