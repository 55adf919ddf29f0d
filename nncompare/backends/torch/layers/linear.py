"""Dense layers, embeddings and learned positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nncompare.backends.torch.layout import on_canonical_axes, same, transpose
from nncompare.backends.torch.lowering import Build, lowering
from nncompare.spec.layers.linear import Dense, Embedding, Position
from nncompare.spec.model import Node


@lowering(Dense)
def dense(node: Node[Dense], build: Build) -> nn.Module:
    """``nn.Linear``, whose weight is ``(out, in)``."""
    linear = nn.Linear(
        node.input.shape[-1], node.layer.units, bias=node.layer.bias, **build.factory
    )
    build.store(node, kernel=(linear.weight, transpose), bias=(linear.bias, same))
    return on_canonical_axes(linear, node)


@lowering(Embedding)
def embedding(node: Node[Embedding], build: Build) -> nn.Module:
    """``nn.Embedding``."""
    vocabulary = node.input.vocabulary
    assert vocabulary is not None, "the layer's description takes tokens only"
    table = nn.Embedding(vocabulary, node.layer.units, **build.factory)
    build.store(node, table=(table.weight, same))
    return on_canonical_axes(table, node)


class _Position(nn.Module):
    """Adds one learned vector to every step. ``(N, T, E) -> (N, T, E)``."""

    def __init__(self, shape: tuple[int, ...], build: Build):
        super().__init__()
        self.table = nn.Parameter(torch.empty(shape, **build.factory))

    def forward(self, x_NTE: Tensor) -> Tensor:
        return x_NTE + self.table


@lowering(Position)
def position(node: Node[Position], build: Build) -> nn.Module:
    """An own module, since PyTorch has none."""
    module = _Position(node.input.shape, build)
    if build.native:
        # as ``nn.Embedding`` starts, which is what PyTorch code usually takes; else ``load`` brings
        # the numbers
        nn.init.normal_(module.table)
    build.store(node, table=(module.table, same))
    return module
