"""Multi-head self-attention in matrix products."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.tensorflow.lowering import Lowered, Pass, affine, lowering
from nncompare.spec.layers.attention import Attention


@lowering(Attention)
def attention(module: Lowered[Attention], x: Tensor, run: Pass) -> Tensor:
    """Scaled dot-product self-attention (Vaswani et al. 2017), ``softmax(q k^T /
    sqrt(head_dim)) v`` per head. ``(N, T, E) -> (N, T, E)``.
    """
    steps, features = module.node.input.shape
    head_dim = features // module.layer.heads
    query, key, value = _project(module, x)
    # the smaller factor is scaled: queries, not scores
    scaled = query * module.constant(1 / math.sqrt(head_dim))
    scores_NHTT = tf.matmul(scaled, key, transpose_b=True)
    if module.layer.causal:
        # minus infinity above the diagonal: those weights become exactly 0, and so do their
        # gradients
        above = np.triu(np.full((steps, steps), -np.inf), 1)
        scores_NHTT += tf.constant(above, x.dtype)
    mixed_NHTD = tf.matmul(tf.nn.softmax(scores_NHTT), value)
    mixed_NTHD = tf.transpose(mixed_NHTD, (0, 2, 1, 3))
    mixed_NTE = tf.reshape(mixed_NTHD, (-1, steps, features))
    kernel = tf.reshape(module.weights["output_kernel"], (features, features))
    return affine(mixed_NTE, kernel, module.weights["output_bias"])


def _project(module: Lowered[Attention], x: Tensor) -> list[Tensor]:
    """Query, key and value from one matrix product, each ``(N, heads, T, head_dim)``."""
    steps, features = module.node.input.shape
    heads = module.layer.heads
    kernels = []
    biases = []
    for name in ("query", "key", "value"):
        kernel = module.weights[f"{name}_kernel"]
        kernels.append(tf.reshape(kernel, (features, features)))
        bias = module.weights[f"{name}_bias"]
        biases.append(tf.reshape(bias, (features,)))
    rows = affine(x, tf.concat(kernels, axis=1), tf.concat(biases, axis=0))
    rows_NT3HD = tf.reshape(rows, (-1, steps, 3, heads, features // heads))
    rows_3NHTD = tf.transpose(rows_NT3HD, (2, 0, 3, 1, 4))
    parts: list[Tensor] = tf.unstack(rows_3NHTD, num=3)
    return parts
