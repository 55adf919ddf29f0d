"""Derivatives of a formula in TensorFlow's operations."""

from __future__ import annotations

import tensorflow as tf

from nncompare.backends.derivatives import TensorArithmetic, named_alike
from nncompare.backends.engines.tensorflow.derivatives import EngineDerivatives


class Tensors(TensorArithmetic):
    """TensorFlow tensors as an arithmetic."""

    functions = {
        **named_alike(tf.math),
        "silu": tf.nn.silu,
        "gelu": tf.nn.gelu,
        "relu": tf.nn.relu,
        "step": lambda u: tf.cast(u > 0, u.dtype),
    }

    def tensor(self, value: float) -> tf.Tensor:
        return tf.constant(value, self.dtype)


DERIVATIVES = EngineDerivatives(
    Tensors,
    how={
        "value": "TensorFlow operations",
        "reverse": "tf.GradientTape",
        "forward": "tf.autodiff.ForwardAccumulator",
    },
    notes={
        "gelu": "gelu: tf.nn.gelu takes its constant through float32, off by about 4e-9 in float64"
    },
)
