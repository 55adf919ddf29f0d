"""Self-attention as a Keras layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from nncompare.backends.keras.lowering import Lowering
from nncompare.spec.model import Node


def attention(node: Node, x: Any, into: Lowering) -> Any:
    """``keras.layers.MultiHeadAttention`` of a sequence with itself. ``(N, T, E) -> (N, T, E)``."""
    layer = make(node, into)
    # Keras casts the factor, and a Python float would pass through float32.
    layer._inverse_sqrt_key_dim = np.float64(1 / np.sqrt(layer.key_dim))
    return attend(node, layer, x, into)


def make(node: Node, into: Lowering) -> Any:
    """Keras's layer with the node's sizes."""
    spec: Any = node.layer
    head_dim = node.input.shape[-1] // spec.heads
    return keras.layers.MultiHeadAttention(
        num_heads=spec.heads, key_dim=head_dim, kernel_regularizer=into.regularizer, name=node.name
    )


def attend(node: Node, layer: Any, x: Any, into: Lowering) -> Any:
    """The layer's symbolic output; notes its parameters."""
    spec: Any = node.layer
    y = layer(x, x, use_causal_mask=spec.causal)
    for name in ("query", "key", "value", "output"):
        dense = getattr(layer, f"{name}_dense")
        into.bind(node, **{f"{name}_kernel": dense.kernel, f"{name}_bias": dense.bias})
    return y
