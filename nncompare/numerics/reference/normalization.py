"""Layer normalization, batch normalization, dropout."""

from __future__ import annotations

import numpy as np

from nncompare.numerics.reference.registry import formula
from nncompare.numerics.reference.run import Array, Params, Run
from nncompare.numerics.semantics import RunningVariance
from nncompare.spec.layers.normalization import BatchNorm, Dropout, LayerNorm
from nncompare.spec.model import Node


def _normalized(x: Array, mean: Array, variance: Array, epsilon: float, p: Params) -> Array:
    normal: Array = (x - mean) / np.sqrt(variance + epsilon)
    return normal * p["scale"] + p["bias"]


@formula(LayerNorm)
def layer_norm(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` over the last axis, biased variance (Ba
    et al. 2016).
    """
    assert isinstance(node.layer, LayerNorm)
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return _normalized(x, mean, variance, node.layer.epsilon, p)


@formula(BatchNorm)
def batch_norm(node: Node, p: Params, x: Array, run: Run) -> Array:
    """Ioffe and Szegedy 2015, Algorithm 1, over the batch and all axes but the last.

    Training normalizes with the batch's mean and biased variance and leaves the mean and the
    *unbiased* variance in ``run.statistics`` (the biased one where ``Semantics.running_variance``
    says so); evaluation normalizes with the running statistics. Of a single value per channel the
    unbiased variance does not exist; it counts as 0.
    """
    assert isinstance(node.layer, BatchNorm)
    mean = p["running_mean"]
    variance = p["running_variance"]
    if run.training:
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axis=axes)
        variance = x.var(axis=axes)
        # a dense layer's channel has one value an example, an image's one a pixel
        values = x.size // x.shape[-1]
        unbiased = run.semantics.running_variance is RunningVariance.UNBIASED
        factor = values / max(values - 1, 1) if unbiased else 1.0
        run.statistics[node.name] = {"running_mean": mean, "running_variance": variance * factor}
    return _normalized(x, mean, variance, node.layer.epsilon, p)


@formula(Dropout)
def dropout(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``x mask / (1 - rate)`` in training (Srivastava et al. 2014, inverted), ``x`` in
    evaluation.
    """
    assert isinstance(node.layer, Dropout)
    # scaled in training, so that inference needs no scale
    if not run.training or node.layer.rate == 0:
        return x
    if run.masks is None:
        raise ValueError(
            f"{node.name}: dropout in training needs masks; pass masks=(node, shape) -> booleans"
        )
    return np.asarray(x * run.masks(node.name, x.shape) / (1 - node.layer.rate))
