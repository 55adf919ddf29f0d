"""Layers that move values without computing much: shapes, selections, residuals."""

from __future__ import annotations

from torch import Tensor, nn

from nncompare.backends.torch.layout import on_canonical_axes
from nncompare.backends.torch.lowering import Build, lower_chain, lowering
from nncompare.spec.layers.structure import Flatten, LastStep, MeanTime, Reshape, Residual
from nncompare.spec.model import Node


@lowering(Flatten)
def flatten(node: Node[Flatten], build: Build) -> nn.Module:
    """Height, width, channel: of an image in ``channels_last`` memory that is a view."""
    return on_canonical_axes(nn.Flatten(), node)


class _Reshape(nn.Module):
    """Another shape of each example. ``(N, …) -> (N, *shape)``."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)


@lowering(Reshape)
def reshape(node: Node[Reshape], build: Build) -> nn.Module:
    """The same values in canonical order."""
    return on_canonical_axes(_Reshape(node.output.shape), node)


class _LastStep(nn.Module):
    """``(N, T, F) -> (N, F)``."""

    def forward(self, x_NTF: Tensor) -> Tensor:
        return x_NTF[:, -1]


@lowering(LastStep)
def last_step(node: Node[LastStep], build: Build) -> nn.Module:
    """The last step alone."""
    return _LastStep()


class _MeanTime(nn.Module):
    """``(N, T, F) -> (N, F)``."""

    def forward(self, x_NTF: Tensor) -> Tensor:
        return x_NTF.mean(1)


@lowering(MeanTime)
def mean_time(node: Node[MeanTime], build: Build) -> nn.Module:
    """The mean over the steps."""
    return _MeanTime()


class _Residual(nn.Module):
    """``shortcut(x) + layers(x)``."""

    def __init__(self, layers: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.layers(x)
        return y


@lowering(Residual)
def residual(node: Node[Residual], build: Build) -> nn.Module:
    """A chain of modules beside another, or beside the input itself."""
    shortcut = lower_chain(node.shortcut, build) if node.shortcut else nn.Identity()
    return _Residual(lower_chain(node.children, build), shortcut)
