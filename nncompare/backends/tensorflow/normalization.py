"""Layer normalization, batch normalization and dropout."""

from __future__ import annotations

import tensorflow as tf

from nncompare.backends.tensorflow.lowering import Lowered, Pass
from nncompare.spec.layers import BatchNorm, Dropout, LayerNorm

Tensor = tf.Tensor


class LayerNormModule(Lowered):
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` over the last axis, biased variance (Ba
    et al. 2016).
    """

    layer: LayerNorm

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return (
            _normalize_last(x, self.constant(self.layer.epsilon)) * self.weights["scale"]
            + self.weights["bias"]
        )


@tf.custom_gradient
def _normalize_last(x, epsilon):  # type: ignore[no-untyped-def]
    """``x_hat = (x - mean) / sqrt(var + epsilon)`` over the last axis; its gradient by hand keeps
    two arrays: ``dx = (dy - mean(dy) - x_hat mean(dy x_hat)) / sqrt(var + epsilon)``.
    """
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + epsilon)
    x_hat = centred * inverse

    def gradient(dy):  # type: ignore[no-untyped-def]
        along = tf.reduce_mean(dy * x_hat, axis=-1, keepdims=True)
        return inverse * (dy - tf.reduce_mean(dy, axis=-1, keepdims=True) - x_hat * along), None

    return x_hat, gradient


class BatchNormModule(Lowered):
    """Normalization over the batch and all axes but the last (Ioffe and Szegedy 2015, Algorithms 1
    and 2).

    float32 goes through ``FusedBatchNormV3``, which normalizes with the biased variance and returns
    the unbiased one, as the formula asks; float64, which that kernel lacks, through moments. The
    raw operation is called because ``tf.nn``'s wrapper raises epsilon to 1.001e-5.
    """

    layer: BatchNorm

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        step = self._fused if self.context.fused_batch_norm else self._moments
        y, statistics = step(x, run.training)
        if run.training:
            momentum = self.constant(self.layer.momentum)
            for name, batch in zip(("running_mean", "running_variance"), statistics, strict=True):
                running = self.weights[name]
                run.updates.append((running, running + momentum * (batch - running)))
        return y

    def _fused(self, x: Tensor, training: bool) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        image = x if x.shape.rank == 4 else tf.reshape(x, (-1, 1, 1, x.shape[-1]))
        nothing = tf.zeros([0], x.dtype)
        found = tf.raw_ops.FusedBatchNormV3(
            x=image,
            scale=self.weights["scale"],
            offset=self.weights["bias"],
            mean=nothing if training else self.weights["running_mean"],
            variance=nothing if training else self.weights["running_variance"],
            epsilon=self.layer.epsilon,
            is_training=training,
        )
        y = found.y if x.shape.rank == 4 else tf.reshape(found.y, tf.shape(x))
        y.set_shape(x.shape)
        return y, (found.batch_mean, found.batch_variance)

    def _moments(self, x: Tensor, training: bool) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        mean, variance = self.weights["running_mean"], self.weights["running_variance"]
        unbiased = variance
        if training:
            mean, variance = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
            values = tf.cast(tf.size(x) // x.shape[-1], x.dtype)
            # the unbiased variance of a single value does not exist and counts as 0
            unbiased = variance * values / tf.maximum(values - self.constant(1), self.constant(1))
        factor = self.weights["scale"] * tf.math.rsqrt(variance + self.constant(self.layer.epsilon))
        return (x - mean) * factor + self.weights["bias"], (mean, unbiased)


class DropoutModule(Lowered):
    """``x mask / (1 - rate)`` in training (Srivastava et al. 2014, inverted), ``x`` in
    evaluation.
    """

    layer: Dropout

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        rate = self.layer.rate
        if not run.training or rate == 0:
            return x
        keep = run.keep(self.node, x, rate, self.stream())
        return tf.where(keep, x * self.constant(1 / (1 - rate)), tf.zeros([], x.dtype))
