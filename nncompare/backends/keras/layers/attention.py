"""Self-attention as a Keras layer."""

from __future__ import annotations

import keras
import numpy as np
from keras import KerasTensor

from nncompare.backends.keras.lowering import Build, lowering
from nncompare.spec.layers.attention import Attention
from nncompare.spec.model import Node


@lowering(Attention)
def attention(node: Node[Attention], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.MultiHeadAttention`` of a sequence with itself. ``(N, T, E) -> (N, T, E)``."""
    heads = node.layer.heads
    layer = keras.layers.MultiHeadAttention(
        num_heads=heads,
        key_dim=node.input.shape[-1] // heads,
        kernel_regularizer=build.regularizer,
        name=node.name,
    )
    if not build.native:
        # Keras casts the factor, and a Python float would pass through float32
        layer._inverse_sqrt_key_dim = np.float64(1 / np.sqrt(layer.key_dim))
    y = layer(x, x, use_causal_mask=node.layer.causal)
    places = {}
    for name in ("query", "key", "value", "output"):
        dense = getattr(layer, f"{name}_dense")
        places[f"{name}_kernel"] = dense.kernel
        places[f"{name}_bias"] = dense.bias
    build.store(node, **places)
    return y
