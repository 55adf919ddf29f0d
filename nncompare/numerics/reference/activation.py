"""Elementwise activations, and softmax over the last axis."""

from __future__ import annotations

import numpy as np

from nncompare.numerics import losses
from nncompare.numerics.reference.registry import formula
from nncompare.numerics.reference.run import Array, Params, Run
from nncompare.spec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Softmax, Tanh
from nncompare.spec.model import Node


@formula(Relu)
def relu(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``max(x, 0)`` (Nair and Hinton 2010)."""
    return np.where(run.hold(node, x <= 0), 0.0, x)


@formula(LeakyRelu)
def leaky_relu(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``x`` where positive, else ``slope x`` (Maas et al. 2013)."""
    assert isinstance(node.layer, LeakyRelu)
    slope = run.semantics.constant("leaky_relu.slope", node.layer.slope)
    return np.where(run.hold(node, x > 0), x, slope * x)


@formula(Gelu)
def gelu(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``x Phi(x)``, or ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`` (Hendrycks and Gimpel
    2016).
    """
    assert isinstance(node.layer, Gelu)
    if node.layer.approximate:
        cubic = run.semantics.constant("gelu.constants", 0.044715)
        return np.asarray(x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + cubic * x**3))))
    # scikit-learn's own dependency; slow to import, and only this formula needs it
    from scipy.special import erf

    inverse_root = run.semantics.constant("gelu.constants", 1 / np.sqrt(2))
    return np.asarray(x / 2 * (1 + erf(x * inverse_root)))


@formula(Sigmoid)
def sigmoid(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``1 / (1 + exp(-x))``."""
    return losses.sigmoid(x)


@formula(Tanh)
def tanh(node: Node, p: Params, x: Array, run: Run) -> Array:
    return np.asarray(np.tanh(x))


@formula(Softmax)
def softmax(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``exp(x_i) / sum_j exp(x_j)`` over the last axis (Bridle 1990)."""
    return np.asarray(np.exp(losses.log_softmax(x)))
