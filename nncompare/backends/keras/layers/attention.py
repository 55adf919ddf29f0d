"""Self-attention as a Keras layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import KerasTensor

from nncompare.backends.keras.lowering import Build, lowering, native_lowering
from nncompare.spec.layers.attention import Attention
from nncompare.spec.model import Node


@lowering(Attention)
def attention(node: Node[Attention], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.MultiHeadAttention`` of a sequence with itself. ``(N, T, E) -> (N, T, E)``."""
    layer = _make(node, build)
    # Keras casts the factor, and a Python float would pass through float32.
    layer._inverse_sqrt_key_dim = np.float64(1 / np.sqrt(layer.key_dim))
    return _attend(node, layer, x, build)


@native_lowering(Attention)
def native_attention(node: Node[Attention], x: KerasTensor, build: Build) -> KerasTensor:
    """The layer as it comes."""
    return _attend(node, _make(node, build), x, build)


def _make(node: Node[Attention], build: Build) -> Any:
    """Keras's layer with the node's sizes."""
    heads = node.layer.heads
    return keras.layers.MultiHeadAttention(
        num_heads=heads,
        key_dim=node.input.shape[-1] // heads,
        kernel_regularizer=build.regularizer,
        name=node.name,
    )


def _attend(node: Node[Attention], layer: Any, x: KerasTensor, build: Build) -> KerasTensor:
    """The layer's symbolic output; notes its parameters."""
    y = layer(x, x, use_causal_mask=node.layer.causal)
    for name in ("query", "key", "value", "output"):
        dense = getattr(layer, f"{name}_dense")
        build.store(node, **{f"{name}_kernel": dense.kernel, f"{name}_bias": dense.bias})
    return y
