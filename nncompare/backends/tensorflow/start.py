"""How the weights of a native training start: TensorFlow without Keras has no layers that would
draw them, so here is what TensorFlow code usually has (see ``native``).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, assert_never

import numpy as np
import tensorflow as tf

from nncompare.backends.base import Array
from nncompare.backends.tensorflow.lowering import Lowered
from nncompare.numerics.keys import generator
from nncompare.spec.layers import Parameter
from nncompare.spec.layers.recurrent import Lstm


def initialize(modules: Iterable[Lowered[Any]]) -> None:
    """Gives every weight its usual start, drawn by TensorFlow from a key of the seed and the
    weight's name.
    """
    for module in modules:
        for item in module.node.parameters:
            name = f"tensorflow start/{module.node.name}.{item.name}"
            key = generator(module.build.seed, name).integers(0, 2**31 - 1, size=2)
            module.weights[item.name].assign(_start(item, module, key))


def _start(item: Parameter, module: Lowered[Any], key: Array) -> tf.Tensor:
    dtype = module.build.dtype
    match item.role:
        case "kernel" | "recurrent" | "embedding":
            # Glorot and Bengio's uniform distribution over all gates as one matrix, which is what
            # ``tf.compat.v1.get_variable`` draws
            limit = sqrt(6 / (item.fan_in + item.fan_out * item.gates))
            return tf.random.stateless_uniform(item.shape, key.tolist(), -limit, limit, dtype)
        case "scale":
            return tf.ones(item.shape, dtype)
        case "running":
            start = np.ones(item.shape) if item.name == "running_variance" else 0.0
            return tf.constant(start, dtype, item.shape)
        case "bias":
            return tf.constant(_bias(item, module), dtype)
        case _:
            assert_never(item.role)


def _bias(item: Parameter, module: Lowered[Any]) -> Array:
    start = np.zeros(item.shape)
    if isinstance(module.layer, Lstm):
        units = module.layer.units
        # the forget gate, in the order i, f, g, o
        start[units : 2 * units] = 1.0
    return start
