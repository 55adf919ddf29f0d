"""Every layer as PyTorch's best module for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nncompare.backends.base import Unsupported
from nncompare.backends.torch.attention import attention
from nncompare.backends.torch.convolution import avg_pool2d, conv2d, max_pool2d
from nncompare.backends.torch.lowering import (
    Build,
    Builder,
    Masks,
    from_canonical,
    on_canonical_axes,
    same,
    to_canonical,
    transpose,
)
from nncompare.backends.torch.recurrent import gru, lstm, rnn
from nncompare.spec.model import Node


def lower(node: Node, build: Build) -> nn.Module:
    """The module of one node; what it holds is written into ``build``.

    Raises:
        Unsupported: PyTorch has no such layer, with the reason.
    """
    kind = node.layer.type
    if reason := unsupported(kind):
        raise Unsupported(f"{kind}: {reason}")
    module = build.native.get(kind, LOWERINGS[kind])(node, build)
    build.modules[node.name] = module
    return module


def unsupported(kind: str) -> str | None:
    """Why this backend lacks a layer type, or None."""
    return (
        None
        if kind in LOWERINGS
        else UNSUPPORTED.get(kind, "the torch backend has no lowering for it")
    )


def lower_chain(nodes: Sequence[Node], build: Build) -> nn.Sequential:
    """The modules of a chain, called by their nodes' names."""
    return nn.Sequential(OrderedDict((node.name, lower(node, build)) for node in nodes))


def dense(node: Node, build: Build) -> nn.Module:
    """``nn.Linear``, whose weight is ``(out, in)``."""
    linear = nn.Linear(
        node.input.shape[-1], node.layer.units, bias=node.layer.bias, **build.factory
    )
    build.store(node, kernel=(linear.weight, transpose), bias=(linear.bias, same))
    return on_canonical_axes(linear, node)


def embedding(node: Node, build: Build) -> nn.Module:
    table = nn.Embedding(node.input.vocabulary, node.layer.units, **build.factory)
    build.store(node, table=(table.weight, same))
    return on_canonical_axes(table, node)


class Position(nn.Module):
    """Adds one learned vector to every step. ``(N, T, E) -> (N, T, E)``."""

    def __init__(self, shape: tuple[int, ...], build: Build):
        super().__init__()
        self.table = nn.Parameter(torch.empty(shape, **build.factory))

    def forward(self, x_NTE: Tensor) -> Tensor:
        return x_NTE + self.table


def position(node: Node, build: Build) -> nn.Module:
    module = Position(node.input.shape, build)
    build.store(node, table=(module.table, same))
    return module


def layer_norm(node: Node, build: Build) -> nn.Module:
    norm = nn.LayerNorm(node.input.shape[-1], eps=node.layer.epsilon, **build.factory)
    build.store(node, scale=(norm.weight, same), bias=(norm.bias, same))
    return on_canonical_axes(norm, node)


class RowsBatchNorm(nn.BatchNorm1d):
    """Batch norm over all axes but the last. ``(N, …, F) -> (N, …, F)``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, -2)).view_as(x)


def batch_norm(node: Node, build: Build) -> nn.Module:
    """PyTorch's own: biased variance in the batch, unbiased in the running statistics, ``momentum``
    the weight of the newest batch, which is the canonical formula.
    """
    kinds = {1: nn.BatchNorm1d, 3: nn.BatchNorm2d}
    kind = kinds.get(len(node.input.shape), RowsBatchNorm)
    layer = node.layer
    norm = kind(node.input.shape[-1], eps=layer.epsilon, momentum=layer.momentum, **build.factory)
    build.store(
        node,
        scale=(norm.weight, same),
        bias=(norm.bias, same),
        running_mean=(norm.running_mean, same),
        running_variance=(norm.running_var, same),
    )
    return norm


class MaskedDropout(nn.Module):
    """Inverted dropout with masks shared by all backends: ``x mask / (1 - rate)``."""

    def __init__(self, node: Node, masks: Masks):
        super().__init__()
        self.node, self.masks, self.rate = node, masks, node.layer.rate

    @torch.compiler.disable  # the mask comes from NumPy, which a compiled graph cannot call
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = self.masks.keep(
            self.node.name, tuple(to_canonical(x, self.node.input).shape), self.rate
        )
        return x * from_canonical(keep, self.node.input).to(x.device, x.dtype) / (1 - self.rate)


def dropout(node: Node, build: Build) -> nn.Module:
    return nn.Dropout(node.layer.rate) if build.masks is None else MaskedDropout(node, build.masks)


def softmax(node: Node, _build: Build) -> nn.Module:
    return on_canonical_axes(nn.Softmax(dim=-1), node)


def flatten(node: Node, _build: Build) -> nn.Module:
    """Height, width, channel: of an image in ``channels_last`` memory that is a view."""
    return on_canonical_axes(nn.Flatten(), node)


class Reshape(nn.Module):
    """Another shape of each example. ``(N, …) -> (N, *shape)``."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)


def reshape(node: Node, _build: Build) -> nn.Module:
    return on_canonical_axes(Reshape(node.output.shape), node)


class LastStep(nn.Module):
    """``(N, T, F) -> (N, F)``."""

    def forward(self, x_NTF: Tensor) -> Tensor:
        return x_NTF[:, -1]


class MeanTime(nn.Module):
    """``(N, T, F) -> (N, F)``."""

    def forward(self, x_NTF: Tensor) -> Tensor:
        return x_NTF.mean(1)


class Residual(nn.Module):
    """``shortcut(x) + layers(x)``."""

    def __init__(self, layers: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.layers, self.shortcut = layers, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.layers(x)


def residual(node: Node, build: Build) -> nn.Module:
    shortcut = lower_chain(node.shortcut, build) if node.shortcut else nn.Identity()
    return Residual(lower_chain(node.children, build), shortcut)


LOWERINGS: dict[str, Builder] = {
    "dense": dense,
    "conv2d": conv2d,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "flatten": flatten,
    "reshape": reshape,
    "embedding": embedding,
    "position": position,
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "attention": attention,
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "dropout": dropout,
    "relu": lambda _node, _build: nn.ReLU(),
    "leaky_relu": lambda node, _build: nn.LeakyReLU(node.layer.slope),
    "gelu": lambda node, _build: nn.GELU("tanh" if node.layer.approximate else "none"),
    "sigmoid": lambda _node, _build: nn.Sigmoid(),
    "tanh": lambda _node, _build: nn.Tanh(),
    "softmax": softmax,
    "residual": residual,
    "last_step": lambda _node, _build: LastStep(),
    "mean_time": lambda _node, _build: MeanTime(),
}
"""Layer type -> its lowering."""

UNSUPPORTED: dict[str, str] = {}
"""Layer type -> why PyTorch lacks it. Nothing is missing."""
