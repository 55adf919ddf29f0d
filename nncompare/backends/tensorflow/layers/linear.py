"""Dense layers, embeddings and learned positions."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.tensorflow.lowering import Lowered, Pass, affine, lowering
from nncompare.spec.layers.linear import Dense, Embedding, Position


@lowering(Dense)
def dense(module: Lowered[Dense], x: Tensor, run: Pass) -> Tensor:
    """``y = x W + b`` over the last axis. ``(N, …, in) -> (N, …, units)``."""
    return affine(x, module.weights["kernel"], module.weights.get("bias"))


@lowering(Embedding)
def embedding(module: Lowered[Embedding], x: Tensor, run: Pass) -> Tensor:
    """Row ``token`` of a table. ``(N, T) -> (N, T, units)``."""
    return tf.gather(module.weights["table"], x)


@lowering(Position)
def position(module: Lowered[Position], x: Tensor, run: Pass) -> Tensor:
    """Adds a learned vector to every step (Gehring et al. 2017, section 3.1). ``(N, T, E) -> (N, T,
    E)``.
    """
    return x + module.weights["table"]
