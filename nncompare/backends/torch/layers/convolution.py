"""Convolution and pooling on images ``(N, C, H, W)`` in ``channels_last`` memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nncompare.backends.torch.layout import same
from nncompare.backends.torch.lowering import Build, lowering, native_lowering
from nncompare.spec.layers.convolution import AvgPool2d, Conv2d, MaxPool2d
from nncompare.spec.model import Node

_Sides = tuple[int, int, int, int]
"""Amounts on the left, right, top and bottom, as PyTorch's padding modules take them."""


def _hwio(weight_OIHW: Tensor) -> Tensor:
    return weight_OIHW.permute(2, 3, 1, 0)


def _padding_of(
    node: Node[Conv2d] | Node[MaxPool2d] | Node[AvgPool2d],
) -> tuple[tuple[int, int], _Sides | None]:
    """The padding that the kernel does itself, and what must be added before it where the sides
    differ: ``same`` with a stride puts the odd zero after, which no PyTorch kernel offers.
    """
    (top, bottom), (left, right) = node.layer.pads(node.input)
    if top == bottom and left == right:
        return (top, left), None
    return (0, 0), (left, right, top, bottom)


def _padded(module: nn.Module, extra: _Sides | None, value: float = 0.0) -> nn.Module:
    return module if extra is None else nn.Sequential(nn.ConstantPad2d(extra, value), module)


@lowering(Conv2d)
def conv2d(node: Node[Conv2d], build: Build) -> nn.Module:
    """``nn.Conv2d``, whose weight is ``(out, in, height, width)``."""
    layer = node.layer
    symmetric, extra = _padding_of(node)
    conv = nn.Conv2d(
        node.input.shape[-1],
        layer.filters,
        layer.kernel,
        stride=layer.stride,
        padding=symmetric,
        bias=layer.bias,
        **build.factory,
    )
    # as the images are, so that the kernel reorders neither; changes the module itself
    conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
    build.store(node, kernel=(conv.weight, _hwio), bias=(conv.bias, same))
    return _padded(conv, extra)


@lowering(MaxPool2d)
def max_pool2d(node: Node[MaxPool2d], build: Build) -> nn.Module:
    """``nn.MaxPool2d``; padding is minus infinity, so that it never wins."""
    symmetric, extra = _padding_of(node)
    pool = nn.MaxPool2d(node.layer.pool, stride=node.layer.strides(), padding=symmetric)
    return _padded(pool, extra, -math.inf)


class _UnevenAvgPool(nn.Module):
    """Average pooling behind unequal padding: the mean over the whole window, times window / real
    values.
    """

    factor: Tensor

    def __init__(self, node: Node[AvgPool2d], extra: _Sides, build: Build):
        super().__init__()
        self.pad = nn.ZeroPad2d(extra)
        self.pool = nn.AvgPool2d(node.layer.pool, stride=node.layer.strides())
        ones_NCHW = torch.ones(1, 1, *node.input.shape[:2], **build.factory)
        # ``count_include_pad=False`` knows of the kernel's own padding alone, not of that before it
        self.register_buffer("factor", 1 / self.pool(self.pad(ones_NCHW)), persistent=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y_NCHW: Tensor = self.pool(self.pad(x_NCHW)) * self.factor
        return y_NCHW


@lowering(AvgPool2d)
def avg_pool2d(node: Node[AvgPool2d], build: Build) -> nn.Module:
    """``nn.AvgPool2d``, told not to count padding."""
    symmetric, extra = _padding_of(node)
    if extra is not None:
        return _UnevenAvgPool(node, extra, build)
    return nn.AvgPool2d(
        node.layer.pool, stride=node.layer.strides(), padding=symmetric, count_include_pad=False
    )


@native_lowering(AvgPool2d)
def native_avg_pool2d(node: Node[AvgPool2d], build: Build) -> nn.Module:
    """``nn.AvgPool2d`` as it comes: its mean counts the padding."""
    symmetric, extra = _padding_of(node)
    pool = nn.AvgPool2d(node.layer.pool, stride=node.layer.strides(), padding=symmetric)
    return _padded(pool, extra)
