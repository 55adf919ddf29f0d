"""How a layer's module and its canonical parameters are tied together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nncompare.numerics.masks import keep_mask
from nncompare.spec.layers import TensorSpec
from nncompare.spec.model import Node


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Where one canonical parameter lives.

    Args:
        tensor: the module's own parameter or buffer; several canonical parameters may share one.
        canonical: gives a *view* of that tensor, or of its gradient, in canonical layout. Loading,
            reading and gradients all go through it, so a layout is written down once.
        penalized: L1 and L2 apply to it.
        partner: of a parameter that the canonical layer lacks: the canonical parameter to which it
            is added.
    """

    tensor: Tensor
    canonical: Callable[[Tensor], Tensor]
    penalized: bool = False
    partner: str | None = None


@dataclass(kw_only=True)
class Masks:
    """Dropout masks that every backend shares.

    Args:
        seed: of the job.
        step: the training step whose masks are drawn next; the session moves it.
    """

    seed: int
    step: int = 0

    def keep(self, node: str, shape: tuple[int, ...], rate: float) -> Tensor:
        """True where a value is kept, in canonical layout, on the CPU."""
        return torch.from_numpy(keep_mask(self.seed, node, self.step, shape, rate))


Builder = Callable[[Node, "Build"], nn.Module]
"""A lowering."""


@dataclass(kw_only=True)
class Build:
    """What a lowering needs to know, and where it writes down what it made.

    Args:
        device, dtype: of every parameter.
        masks: given when dropout takes shared masks; None when PyTorch draws its own.
        native: layer type -> its lowering where that differs in the native convention; empty in the
            aligned one.
        modules: node name -> its module, children of a residual included.
        stored: canonical parameter name -> where it lives.
    """

    device: torch.device
    dtype: torch.dtype
    masks: Masks | None = None
    native: Mapping[str, Builder] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)

    @property
    def factory(self) -> dict[str, Any]:
        """The keywords that PyTorch's constructors take."""
        return {"device": self.device, "dtype": self.dtype}

    def store(self, node: Node, **places: tuple[Tensor, Callable[[Tensor], Tensor]]) -> None:
        """Notes where the parameters of ``node`` live: ``kernel=(module.weight, transpose)``."""
        for item in node.parameters:
            tensor, canonical = places[item.name]
            self.stored[f"{node.name}.{item.name}"] = Stored(
                tensor=tensor, canonical=canonical, penalized=item.penalized
            )

    def store_added(self, node: Node, name: str, tensor: Tensor, *, partner: str) -> None:
        """Notes a trained parameter that the canonical layer lacks; it is added to that layer's
        ``partner``.
        """
        self.stored[f"{node.name}.{name}"] = Stored(
            tensor=tensor, canonical=same, partner=f"{node.name}.{partner}"
        )


def same(tensor: Tensor) -> Tensor:
    """Already in canonical layout."""
    return tensor


def transpose(tensor: Tensor) -> Tensor:
    """``(out, in)`` as ``(in, out)``."""
    return tensor.t()


def is_image(spec: TensorSpec) -> bool:
    """Images are ``(N, C, H, W)`` tensors in ``channels_last`` memory, which is NHWC in fact; all
    other values have canonical axes. Measured on CPU, a small CNN takes 0.5 to 0.75 of the time of
    contiguous NCHW, and the flatten is a view in canonical order.
    """
    return len(spec.shape) == 3 and not spec.is_tokens


def from_canonical(x: Tensor, spec: TensorSpec) -> Tensor:
    """``x_NHWC`` as ``x_NCHW`` without a copy; anything but an image as it is."""
    return x.permute(0, 3, 1, 2) if is_image(spec) else x


def to_canonical(x: Tensor, spec: TensorSpec) -> Tensor:
    """``x_NCHW`` as ``x_NHWC`` without a copy; anything but an image as it is."""
    return x.permute(0, 2, 3, 1) if is_image(spec) else x


class Canonical(nn.Module):
    """Runs a module that works on canonical axes, such as ``nn.Linear`` on the last one, where
    images come in or go out. Shapes: of the node.
    """

    def __init__(self, inner: nn.Module, node: Node):
        super().__init__()
        self.inner, self.input, self.output = inner, node.input, node.output

    def forward(self, x: Tensor) -> Tensor:
        return from_canonical(self.inner(to_canonical(x, self.input)), self.output)


def on_canonical_axes(inner: nn.Module, node: Node) -> nn.Module:
    """``inner`` itself wherever no image is involved, so that the usual case costs nothing."""
    return Canonical(inner, node) if is_image(node.input) or is_image(node.output) else inner
