"""Derivatives of a formula in ``keras.ops``, differentiated by the engine that Keras runs on, since
Keras 3 has no automatic differentiation of its own. The report says so.
"""

from __future__ import annotations

import tensorflow as tf
from keras import ops

from nncompare.backends.derivatives import TensorArithmetic, named_alike
from nncompare.backends.engines.tensorflow.derivatives import EngineDerivatives


class Tensors(TensorArithmetic):
    """Keras tensors as an arithmetic."""

    functions = {
        **named_alike(ops),
        "asin": ops.arcsin,
        "acos": ops.arccos,
        "atan": ops.arctan,
        # Keras's own default is the approximation by tanh
        "gelu": lambda u: ops.gelu(u, approximate=False),
        "step": lambda u: ops.cast(u > 0, u.dtype),
    }
    operators = {**TensorArithmetic.operators, "**": ops.power}

    def tensor(self, value: float) -> tf.Tensor:
        # not ``ops.cast``, by which a Python number passes through float32
        return ops.convert_to_tensor(value, self.dtype)


DERIVATIVES = EngineDerivatives(
    Tensors,
    how={
        "value": "keras.ops",
        "reverse": "tf.GradientTape over keras.ops",
        "forward": "tf.autodiff.ForwardAccumulator over keras.ops",
    },
    notes={
        "gelu": (
            "gelu: Keras leaves it to tf.nn.gelu, whose constant passes through float32: off by"
            " about 4e-9"
        )
    },
)
