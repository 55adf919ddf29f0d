"""Multi-head self-attention in matrix products."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from nncompare.backends.tensorflow.lowering import Lowered, Pass, affine
from nncompare.spec.layers import Attention

Tensor = tf.Tensor


class AttentionModule(Lowered):
    """Scaled dot-product self-attention (Vaswani et al. 2017). ``(N, T, E) -> (N, T, E)``.

    ``softmax(q k^T / sqrt(head_dim)) v`` per head; query, key and value come from one matrix
    product.
    """

    layer: Attention

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        steps, features = self.node.input.shape
        heads = self.layer.heads
        head_dim = features // heads
        query, key, value = self._project(x, steps, features, heads, head_dim)
        scores_NHTT = tf.matmul(
            query * self.constant(1 / math.sqrt(head_dim)), key, transpose_b=True
        )
        if self.layer.causal:
            # minus infinity above the diagonal: those weights become exactly 0, and so do their
            # gradients
            scores_NHTT += tf.constant(np.triu(np.full((steps, steps), -np.inf), 1), x.dtype)
        mixed_NHTD = tf.matmul(tf.nn.softmax(scores_NHTT), value)
        mixed_NTE = tf.reshape(tf.transpose(mixed_NHTD, (0, 2, 1, 3)), (-1, steps, features))
        kernel = tf.reshape(self.weights["output_kernel"], (features, features))
        return affine(mixed_NTE, kernel, self.weights["output_bias"])

    def _project(
        self, x: Tensor, steps: int, features: int, heads: int, head_dim: int
    ) -> list[Tensor]:
        """Query, key and value, each ``(N, heads, T, head_dim)``."""
        names = ("query", "key", "value")
        kernel = tf.concat(
            [tf.reshape(self.weights[f"{n}_kernel"], (features, features)) for n in names], axis=1
        )
        bias = tf.concat(
            [tf.reshape(self.weights[f"{n}_bias"], (features,)) for n in names], axis=0
        )
        stacked = tf.reshape(affine(x, kernel, bias), (-1, steps, 3, heads, head_dim))
        return tf.unstack(tf.transpose(stacked, (2, 0, 3, 1, 4)), num=3)
