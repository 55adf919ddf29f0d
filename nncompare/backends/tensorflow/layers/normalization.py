"""Layer normalization, batch normalization and dropout."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.registry import default
from nncompare.backends.tensorflow.lowering import Lowered, Pass, lowering, native_lowering
from nncompare.numerics.keys import generator
from nncompare.spec.layers.normalization import BatchNorm, Dropout, LayerNorm

_Pair = tuple[Tensor, Tensor]
"""Mean and variance."""


@lowering(LayerNorm)
def layer_norm(module: Lowered[LayerNorm], x: Tensor, run: Pass) -> Tensor:
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` over the last axis, biased variance (Ba
    et al. 2016).
    """
    x_hat = _normalize_last(x, module.constant(module.layer.epsilon))
    return x_hat * module.weights["scale"] + module.weights["bias"]


def _mean_of_last(x: Tensor) -> Tensor:
    return tf.reduce_mean(x, axis=-1, keepdims=True)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _normalize_last(
    x: Tensor, epsilon: Tensor
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, None]]]:
    """``x_hat = (x - mean) / sqrt(var + epsilon)`` over the last axis; its gradient by hand keeps
    two arrays: ``dx = (dy - mean(dy) - x_hat mean(dy x_hat)) / sqrt(var + epsilon)``.
    """
    centred = x - _mean_of_last(x)
    inverse = tf.math.rsqrt(_mean_of_last(tf.square(centred)) + epsilon)
    x_hat = centred * inverse

    def gradient(dy: Tensor) -> tuple[Tensor, None]:
        along = _mean_of_last(dy * x_hat)
        # epsilon is a constant
        return inverse * (dy - _mean_of_last(dy) - x_hat * along), None

    return x_hat, gradient


# 1e-6: of TensorFlow's Transformer tutorial
@native_lowering(LayerNorm, epsilon=1e-6)
def native_layer_norm(module: Lowered[LayerNorm], x: Tensor, run: Pass) -> Tensor:
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` over the last axis."""
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    scale = module.weights["scale"]
    bias = module.weights["bias"]
    return tf.nn.batch_normalization(x, mean, variance, bias, scale, module.layer.epsilon)


@lowering(BatchNorm)
def batch_norm(module: Lowered[BatchNorm], x: Tensor, run: Pass) -> Tensor:
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
        names = ("running_mean", "running_variance")
        for name, batch in zip(names, statistics, strict=True):
            running = module.weights[name]
            run.updates.append((running, running + momentum * (batch - running)))
    return y


def _fused(module: Lowered[BatchNorm], x: Tensor, training: bool) -> tuple[Tensor, _Pair]:
    # the kernel takes images alone
    image = x if x.shape.rank == 4 else tf.reshape(x, (-1, 1, 1, x.shape[-1]))
    # what the kernel wants for the statistics that it computes itself
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
    # reshaped by a tensor, it has lost what was known when tracing
    y.set_shape(x.shape)
    return y, (found.batch_mean, found.batch_variance)


def _moments(module: Lowered[BatchNorm], x: Tensor, training: bool) -> tuple[Tensor, _Pair]:
    mean = module.weights["running_mean"]
    variance = module.weights["running_variance"]
    unbiased = variance
    if training:
        mean, variance = _batch_moments(x)
        values = tf.cast(tf.size(x) // x.shape[-1], x.dtype)
        one = module.constant(1)
        # the unbiased variance of a single value does not exist and counts as 0
        unbiased = variance * values / tf.maximum(values - one, one)
    root = tf.math.rsqrt(variance + module.constant(module.layer.epsilon))
    factor = module.weights["scale"] * root
    return (x - mean) * factor + module.weights["bias"], (mean, unbiased)


def _batch_moments(x: Tensor) -> _Pair:
    """Mean and biased variance over all axes but the last."""
    axes = list(range(x.shape.rank - 1))
    moments: _Pair = tf.nn.moments(x, axes=axes)
    return moments


@native_lowering(
    BatchNorm,
    epsilon=default(tf.compat.v1.nn.fused_batch_norm, "epsilon"),
    momentum=1 - 0.99,  # 0.99 of the old statistics is what TensorFlow code usually keeps
)
def native_batch_norm(module: Lowered[BatchNorm], x: Tensor, run: Pass) -> Tensor:
    """``tf.nn.moments`` and ``tf.nn.batch_normalization``; the running variance takes the biased
    batch variance.
    """
    mean = module.weights["running_mean"]
    variance = module.weights["running_variance"]
    if run.training:
        batch = _batch_moments(x)
        keep = module.constant(1 - module.layer.momentum)
        for running, new in zip((mean, variance), batch, strict=True):
            run.updates.append((running, running * keep + new * (1 - keep)))
        mean, variance = batch
    scale = module.weights["scale"]
    bias = module.weights["bias"]
    return tf.nn.batch_normalization(x, mean, variance, bias, scale, module.layer.epsilon)


@lowering(Dropout)
def dropout(module: Lowered[Dropout], x: Tensor, run: Pass) -> Tensor:
    """``x mask / (1 - rate)`` in training (Srivastava et al. 2014, inverted), ``x`` in
    evaluation.
    """
    rate = module.layer.rate
    # a rate of 0 would multiply by a mask of ones
    if not run.training or rate == 0:
        return x
    keep = run.masks[module.node.name] if run.masks else _drawn(module, x, run.step)
    return tf.where(keep, x * module.constant(1 / (1 - rate)), tf.zeros([], x.dtype))


def _drawn(module: Lowered[Dropout], x: Tensor, step: Tensor) -> Tensor:
    """True where TensorFlow's own dropout keeps a value; shape of ``x``."""
    numbers = generator(module.build.seed, f"tensorflow/{module.node.name}")
    seed = int(numbers.integers(0, 2**31 - 1))
    # one stateless stream per node and step: no state to restore, the same masks in every run
    key = tf.stack([tf.constant(seed, tf.int32), tf.cast(step, tf.int32)])
    return tf.random.stateless_uniform(tf.shape(x), key, dtype=tf.float32) >= module.layer.rate
