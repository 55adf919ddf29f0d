"""Convolution and pooling on images ``(N, C, H, W)`` in ``channels_last`` memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nncompare.backends.torch.lowering import Build, same
from nncompare.spec.model import Node


def _hwio(weight_OIHW: Tensor) -> Tensor:
    return weight_OIHW.permute(2, 3, 1, 0)


def padding_of(node: Node) -> tuple[tuple[int, int], tuple[int, int, int, int] | None]:
    """The padding that the kernel does itself, and what must be added before it (left, right, top,
    bottom) where the sides differ: ``same`` with a stride puts the odd zero after, which no PyTorch
    kernel offers.
    """
    (top, bottom), (left, right) = node.layer.pads(node.input)
    if top == bottom and left == right:
        return (top, left), None
    return (0, 0), (left, right, top, bottom)


def after_padding(pad: nn.Module | None, kernel: nn.Module) -> nn.Module:
    """The kernel behind its padding, if there is one."""
    return kernel if pad is None else nn.Sequential(pad, kernel)


def conv2d(node: Node, build: Build) -> nn.Module:
    layer = node.layer
    symmetric, extra = padding_of(node)
    conv = nn.Conv2d(
        node.input.shape[-1],
        layer.filters,
        layer.kernel,
        stride=layer.stride,
        padding=symmetric,
        bias=layer.bias,
        **build.factory,
    ).to(memory_format=torch.channels_last)
    build.store(node, kernel=(conv.weight, _hwio), bias=(conv.bias, same))
    return after_padding(extra and nn.ZeroPad2d(extra), conv)


def max_pool2d(node: Node, _build: Build) -> nn.Module:
    symmetric, extra = padding_of(node)
    pool = nn.MaxPool2d(node.layer.pool, stride=node.layer.strides(), padding=symmetric)
    return after_padding(extra and nn.ConstantPad2d(extra, -math.inf), pool)


class _UnevenAvgPool(nn.Module):
    """Average pooling behind unequal padding: the mean over the whole window, times window / real
    values.
    """

    def __init__(self, node: Node, extra: tuple[int, int, int, int], build: Build):
        super().__init__()
        self.pad = nn.ZeroPad2d(extra)
        self.pool = nn.AvgPool2d(node.layer.pool, stride=node.layer.strides())
        ones_NCHW = torch.ones(1, 1, *node.input.shape[:2], **build.factory)
        self.register_buffer("factor", 1 / self.pool(self.pad(ones_NCHW)), persistent=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.pool(self.pad(x_NCHW)) * self.factor


def avg_pool2d(node: Node, build: Build) -> nn.Module:
    symmetric, extra = padding_of(node)
    if extra is not None:
        return _UnevenAvgPool(node, extra, build)
    return nn.AvgPool2d(
        node.layer.pool, stride=node.layer.strides(), padding=symmetric, count_include_pad=False
    )
