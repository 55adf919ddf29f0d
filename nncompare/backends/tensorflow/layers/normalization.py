"""Layer normalization, batch normalization and dropout."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from nncompare.backends.registry import default
from nncompare.backends.tensorflow.lowering import Lowered, Pass, lowering, native_lowering
from nncompare.spec.layers.normalization import BatchNorm, Dropout, LayerNorm

_Pair = tuple[tf.Tensor, tf.Tensor]
"""Mean and variance."""


@lowering(LayerNorm)
def layer_norm(module: Lowered[LayerNorm], x: tf.Tensor, run: Pass) -> tf.Tensor:
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` over the last axis, biased variance (Ba
    et al. 2016).
    """
    x_hat = _normalize_last(x, module.constant(module.layer.epsilon))
    return x_hat * module.weights["scale"] + module.weights["bias"]


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _normalize_last(
    x: tf.Tensor, epsilon: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """``x_hat = (x - mean) / sqrt(var + epsilon)`` over the last axis; its gradient by hand keeps
    two arrays: ``dx = (dy - mean(dy) - x_hat mean(dy x_hat)) / sqrt(var + epsilon)``.
    """
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + epsilon)
    x_hat = centred * inverse

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, None]:
        along = tf.reduce_mean(dy * x_hat, axis=-1, keepdims=True)
        return inverse * (dy - tf.reduce_mean(dy, axis=-1, keepdims=True) - x_hat * along), None

    return x_hat, gradient


# 1e-6: of TensorFlow's Transformer tutorial
@native_lowering(LayerNorm, epsilon=1e-6)
def native_layer_norm(module: Lowered[LayerNorm], x: tf.Tensor, run: Pass) -> tf.Tensor:
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` over the last axis."""
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    scale, bias = module.weights["scale"], module.weights["bias"]
    return tf.nn.batch_normalization(x, mean, variance, bias, scale, module.layer.epsilon)


@lowering(BatchNorm)
def batch_norm(module: Lowered[BatchNorm], x: tf.Tensor, run: Pass) -> tf.Tensor:
    """Normalization over the batch and all axes but the last (Ioffe and Szegedy 2015, Algorithms 1
    and 2).

    float32 goes through ``FusedBatchNormV3``, which normalizes with the biased variance and returns
    the unbiased one, as the formula asks; float64, which that kernel lacks, through moments. The
    raw operation is called because ``tf.nn``'s wrapper raises epsilon to 1.001e-5.
    """
    step = _fused if module.build.fused_batch_norm else _moments
    y, statistics = step(module, x, run.training)
    if run.training:
        momentum = module.constant(module.layer.momentum)
        for name, batch in zip(("running_mean", "running_variance"), statistics, strict=True):
            running = module.weights[name]
            run.updates.append((running, running + momentum * (batch - running)))
    return y


def _fused(module: Lowered[BatchNorm], x: tf.Tensor, training: bool) -> tuple[tf.Tensor, _Pair]:
    image = x if x.shape.rank == 4 else tf.reshape(x, (-1, 1, 1, x.shape[-1]))
    nothing = tf.zeros([0], x.dtype)
    found = tf.raw_ops.FusedBatchNormV3(
        x=image,
        scale=module.weights["scale"],
        offset=module.weights["bias"],
        mean=nothing if training else module.weights["running_mean"],
        variance=nothing if training else module.weights["running_variance"],
        epsilon=module.layer.epsilon,
        is_training=training,
    )
    y = found.y if x.shape.rank == 4 else tf.reshape(found.y, tf.shape(x))
    y.set_shape(x.shape)
    return y, (found.batch_mean, found.batch_variance)


def _moments(module: Lowered[BatchNorm], x: tf.Tensor, training: bool) -> tuple[tf.Tensor, _Pair]:
    mean, variance = module.weights["running_mean"], module.weights["running_variance"]
    unbiased = variance
    if training:
        mean, variance = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
        values = tf.cast(tf.size(x) // x.shape[-1], x.dtype)
        one = module.constant(1)
        # the unbiased variance of a single value does not exist and counts as 0
        unbiased = variance * values / tf.maximum(values - one, one)
    root = tf.math.rsqrt(variance + module.constant(module.layer.epsilon))
    factor = module.weights["scale"] * root
    return (x - mean) * factor + module.weights["bias"], (mean, unbiased)


@native_lowering(
    BatchNorm,
    epsilon=default(tf.compat.v1.nn.fused_batch_norm, "epsilon"),
    momentum=1 - 0.99,  # 0.99 of the old statistics is what TensorFlow code usually keeps
)
def native_batch_norm(module: Lowered[BatchNorm], x: tf.Tensor, run: Pass) -> tf.Tensor:
    """``tf.nn.moments`` and ``tf.nn.batch_normalization``; the running variance takes the biased
    batch variance.
    """
    mean, variance = module.weights["running_mean"], module.weights["running_variance"]
    if run.training:
        batch = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
        keep = module.constant(1 - module.layer.momentum)
        for running, new in zip((mean, variance), batch, strict=True):
            run.updates.append((running, running * keep + new * (1 - keep)))
        mean, variance = batch
    scale, bias = module.weights["scale"], module.weights["bias"]
    return tf.nn.batch_normalization(x, mean, variance, bias, scale, module.layer.epsilon)


@lowering(Dropout)
def dropout(module: Lowered[Dropout], x: tf.Tensor, run: Pass) -> tf.Tensor:
    """``x mask / (1 - rate)`` in training (Srivastava et al. 2014, inverted), ``x`` in
    evaluation.
    """
    rate = module.layer.rate
    if not run.training or rate == 0:
        return x
    keep = run.keep(module.node, x, rate, module.stream())
    return tf.where(keep, x * module.constant(1 / (1 - rate)), tf.zeros([], x.dtype))
