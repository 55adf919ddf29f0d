"""Layers that move or combine values."""

from __future__ import annotations

import numpy as np

from nncompare.numerics.reference.registry import formula
from nncompare.numerics.reference.run import Array, Params, Run
from nncompare.spec.layers.structure import Flatten, LastStep, MeanTime, Reshape, Residual
from nncompare.spec.model import Node


@formula(Flatten)
def flatten(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``(N, H, W, C) -> (N, H W C)``, channel fastest."""
    return x.reshape(len(x), -1)


@formula(Reshape)
def reshape(node: Node, p: Params, x: Array, run: Run) -> Array:
    """Another shape for the same values, last axis fastest."""
    return x.reshape(len(x), *node.output.shape)


@formula(LastStep)
def last_step(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``(N, T, F) -> (N, F)``."""
    return x[:, -1]


@formula(MeanTime)
def mean_time(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``(N, T, F) -> (N, F)``."""
    return np.asarray(x.mean(axis=1))


@formula(Residual)
def residual(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``shortcut(x) + layers(x)`` (He et al. 2016, equation 1); without a shortcut ``x +
    layers(x)``.
    """
    inner = run.chain(node.children, x)
    return inner + run.chain(node.shortcut, x)
