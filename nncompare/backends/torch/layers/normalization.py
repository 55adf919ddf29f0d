"""Layer normalization, batch normalization and dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nncompare.backends.registry import default, defaults_of
from nncompare.backends.torch.layout import from_canonical, on_canonical_axes, same, to_canonical
from nncompare.backends.torch.lowering import Build, Masks, lowering
from nncompare.spec.layers.normalization import BatchNorm, Dropout, LayerNorm
from nncompare.spec.model import Node


@lowering(LayerNorm, epsilon=default(nn.LayerNorm, "eps"))
def layer_norm(node: Node[LayerNorm], build: Build) -> nn.Module:
    """``nn.LayerNorm`` over the last canonical axis."""
    norm = nn.LayerNorm(node.input.shape[-1], **node.layer.given(eps="epsilon"), **build.factory)
    build.store(node, scale=(norm.weight, same), bias=(norm.bias, same))
    return on_canonical_axes(norm, node)


class _RowsBatchNorm(nn.BatchNorm1d):
    """Batch norm over all axes but the last. ``(N, …, F) -> (N, …, F)``."""

    def forward(self, x: Tensor) -> Tensor:
        # PyTorch's channel is axis 1, a sequence's here is the last: each step becomes a row
        return super().forward(x.flatten(0, -2)).view_as(x)


def _batch_norm_for(axes: int) -> type[nn.BatchNorm1d] | type[nn.BatchNorm2d]:
    """PyTorch's class for examples with that many axes; its channel is axis 1."""
    match axes:
        case 1:
            return nn.BatchNorm1d
        case 3:
            return nn.BatchNorm2d
        # steps, or anything else whose channel is the last axis
        case _:
            return _RowsBatchNorm


@lowering(BatchNorm, **defaults_of(nn.BatchNorm2d, eps="epsilon", momentum="momentum"))
def batch_norm(node: Node[BatchNorm], build: Build) -> nn.Module:
    """PyTorch's own: biased variance in the batch, unbiased in the running statistics, ``momentum``
    the weight of the newest batch, which is the canonical formula.
    """
    layer = node.layer
    kind = _batch_norm_for(len(node.input.shape))
    own = layer.given(eps="epsilon", momentum="momentum")
    norm = kind(node.input.shape[-1], **own, **build.factory)
    build.store(
        node,
        scale=(norm.weight, same),
        bias=(norm.bias, same),
        running_mean=(norm.running_mean, same),
        running_variance=(norm.running_var, same),
    )
    return norm


class _MaskedDropout(nn.Module):
    """Inverted dropout with masks shared by all backends: ``x mask / (1 - rate)``."""

    def __init__(self, node: Node[Dropout], masks: Masks):
        super().__init__()
        self.node = node
        self.masks = masks
        self.rate = node.layer.rate

    # the mask comes from NumPy, which a compiled graph cannot call
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        shape = tuple(to_canonical(x, self.node.input).shape)
        keep = self.masks.keep(self.node.name, shape, self.rate)
        return x * from_canonical(keep, self.node.input).to(x.device, x.dtype) / (1 - self.rate)


@lowering(Dropout)
def dropout(node: Node[Dropout], build: Build) -> nn.Module:
    """``nn.Dropout``, or with the masks that every backend shares."""
    return nn.Dropout(node.layer.rate) if build.masks is None else _MaskedDropout(node, build.masks)
