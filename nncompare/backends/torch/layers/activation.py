"""Activations through PyTorch's modules."""

from __future__ import annotations

from torch import nn

from nncompare.backends.registry import default
from nncompare.backends.torch.layout import on_canonical_axes
from nncompare.backends.torch.lowering import Build, lowering
from nncompare.spec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Softmax, Tanh
from nncompare.spec.model import Node


@lowering(Relu)
def relu(node: Node[Relu], build: Build) -> nn.Module:
    """``nn.ReLU``."""
    return nn.ReLU()


@lowering(LeakyRelu, slope=default(nn.LeakyReLU, "negative_slope"))
def leaky_relu(node: Node[LeakyRelu], build: Build) -> nn.Module:
    """``nn.LeakyReLU``."""
    return nn.LeakyReLU(**node.layer.given(negative_slope="slope"))


@lowering(Gelu, approximate=default(nn.GELU, "approximate") != "none")
def gelu(node: Node[Gelu], build: Build) -> nn.Module:
    """``nn.GELU``, whose exact form goes by the name of "none"."""
    given = node.layer.given(approximate="approximate")
    words = {keyword: "tanh" if value else "none" for keyword, value in given.items()}
    return nn.GELU(**words)


@lowering(Sigmoid)
def sigmoid(node: Node[Sigmoid], build: Build) -> nn.Module:
    """``nn.Sigmoid``."""
    return nn.Sigmoid()


@lowering(Tanh)
def tanh(node: Node[Tanh], build: Build) -> nn.Module:
    """``nn.Tanh``."""
    return nn.Tanh()


@lowering(Softmax)
def softmax(node: Node[Softmax], build: Build) -> nn.Module:
    """``nn.Softmax`` over the last canonical axis, which is the channel of an image."""
    return on_canonical_axes(nn.Softmax(dim=-1), node)
