"""Simple RNN, LSTM and GRU in TensorFlow operations. Gates: LSTM ``i, f, g, o``; GRU ``r,
z, n``.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from nncompare.backends.tensorflow.lowering import Lowered, Pass, affine

Tensor = tf.Tensor
State = tuple[Tensor, ...]
Weights = dict[str, Tensor]

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


class RecurrentModule(Lowered):
    """A recurrence over axis 1. ``(N, T, F) -> (N, T, units)``, or ``(N, units)`` for the last step
    alone.

    On a CPU each step multiplies its own input, while it is in the cache (measured faster than one
    product for all steps, whose result travels through memory); on accelerators one product serves
    all steps.
    """

    layer: Any
    states = 1

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        # read once: every further read of a variable would be an operation, and its gradient a
        # summand
        weights = {name: tf.convert_to_tensor(weight) for name, weight in self.weights.items()}
        source = self._project(x, weights) if self.context.accelerator else x
        zeros = tf.zeros((tf.shape(x)[0], self.layer.units), x.dtype)
        zeros.set_shape((x.shape[0], self.layer.units))
        start = (zeros,) * self.states
        run_steps = (
            self._unrolled
            if x.shape[1] <= longest_unrolled(self.context.compiled)
            else self._looped
        )
        return run_steps(source, start, weights)

    def _unrolled(self, source: Tensor, state: State, weights: Weights) -> Tensor:
        found = []
        for step in tf.unstack(source, axis=1):
            state = self.step(step, state, weights)
            found.append(state[0])
        return tf.stack(found, axis=1) if self.layer.return_sequences else state[0]

    def _looped(self, source: Tensor, state: State, weights: Weights) -> Tensor:
        steps = source.shape[1]
        source_TNF = tf.transpose(source, (1, 0, 2))
        every = tf.TensorArray(source.dtype, size=steps, element_shape=state[0].shape)

        def body(t: Tensor, every: tf.TensorArray, *state: Tensor) -> tuple[Any, ...]:
            state = self.step(source_TNF[t], state, weights)
            return (
                t + 1,
                every.write(t, state[0]) if self.layer.return_sequences else every,
                *state,
            )

        found = tf.while_loop(
            lambda t, *_: t < steps, body, (tf.constant(0), every, *state), maximum_iterations=steps
        )
        return (
            tf.transpose(found[1].stack(), (1, 0, 2)) if self.layer.return_sequences else found[2]
        )

    def step(self, source: Tensor, state: State, weights: Weights) -> State:
        """One step from its input, or on accelerators from its projected input."""
        return self.cell(
            source if self.context.accelerator else self._project(source, weights), state, weights
        )

    @staticmethod
    def _project(x: Tensor, weights: Weights) -> Tensor:
        """``x W + b``. ``(N, …, F) -> (N, …, gates * units)``."""
        return affine(x, weights["kernel"], weights["bias"])

    def cell(self, x: Tensor, state: State, weights: Weights) -> State:
        """One step: the projected input and the state before it give the state after it, output
        first.
        """
        raise NotImplementedError


class RnnModule(RecurrentModule):
    """``h_t = tanh(x_t W + b + h_{t-1} U)`` (Elman 1990)."""

    def cell(self, x: Tensor, state: State, weights: Weights) -> State:
        return (tf.tanh(x + tf.matmul(state[0], weights["recurrent_kernel"])),)


class LstmModule(RecurrentModule):
    """``c_t = f c_{t-1} + i g``; ``h_t = o tanh(c_t)`` (Gers, Schmidhuber and Cummins 2000)."""

    states = 2

    def cell(self, x: Tensor, state: State, weights: Weights) -> State:
        h, c = state
        i, f, g, o = tf.split(x + tf.matmul(h, weights["recurrent_kernel"]), 4, axis=-1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c


class GruModule(RecurrentModule):
    """``n = tanh(x W_n + b_n + r (h U_n + c_n))``; ``h_t = (1 - z) n + z h_{t-1}`` (Cho et al.
    2014, with the reset gate after the product, as cuDNN computes it).
    """

    def cell(self, x: Tensor, state: State, weights: Weights) -> State:
        (h,) = state
        units = self.layer.units
        inner = affine(h, weights["recurrent_kernel"], weights["recurrent_bias"])
        (x_rz, x_n), (h_rz, h_n) = (
            tf.split(part, [2 * units, units], axis=-1) for part in (x, inner)
        )
        r, z = tf.split(tf.sigmoid(x_rz + h_rz), 2, axis=-1)
        n = tf.tanh(x_n + r * h_n)
        return (n + z * (h - n),)
