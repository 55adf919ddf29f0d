"""How a layer becomes a module, and how its canonical parameters are tied to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nncompare.backends.registry import Registry
from nncompare.backends.torch.layout import View, same
from nncompare.numerics.masks import keep_mask
from nncompare.spec.layers import Layer
from nncompare.spec.model import Node

Builder = Callable[[Node[Any], "Build"], nn.Module]
"""A lowering: makes the module of one node; notes what it holds in ``build``."""

UNSUPPORTED: dict[type[Layer], str] = {}
"""Layer -> why PyTorch lacks it. Nothing is missing."""
LOWERINGS: Registry[Layer, Builder] = Registry("torch", UNSUPPORTED)


lowering = LOWERINGS.form
"""Registers the lowering of a layer, with PyTorch's own values for its open fields."""
native_lowering = LOWERINGS.native_form
"""Registers a layer as PyTorch ships it, where that is another than its lowering."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Where one canonical parameter lives.

    Args:
        tensor: the module's own parameter or buffer; several canonical parameters may share one.
        canonical: shows that tensor, or its gradient, in canonical layout. Loading, reading and
            gradients all go through it, so a layout is written down once.
        penalized: L1 and L2 apply to it.
        partner: of a parameter that the canonical layer lacks: the canonical parameter to which it
            is added.
    """

    tensor: Tensor
    canonical: View
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


@dataclass(kw_only=True)
class Build:
    """What a lowering needs to know, and where it writes down what it made.

    Args:
        device, dtype: of every parameter.
        native: every layer as PyTorch ships it.
        masks: given when dropout takes shared masks; None when PyTorch draws its own.
        modules: node name -> its module, children of a residual included.
        stored: canonical parameter name -> where it lives.
    """

    device: torch.device
    dtype: torch.dtype
    native: bool = False
    masks: Masks | None = None
    modules: dict[str, nn.Module] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)

    @property
    def factory(self) -> dict[str, Any]:
        """The keywords that PyTorch's constructors take."""
        return {"device": self.device, "dtype": self.dtype}

    def store(self, node: Node, **places: tuple[Tensor | None, View]) -> None:
        """Notes where the parameters of ``node`` live: ``kernel=(module.weight, transpose)``.

        Places that the node has no parameter for are left out: a layer without bias, for instance,
        has none of its module's.
        """
        for item in node.parameters:
            # the key may be missing, the tensor None: both are a lowering's mistake
            tensor, canonical = places[item.name]
            assert tensor is not None, f"{node.name}.{item.name}: its module has none"
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


def lower(node: Node, build: Build) -> nn.Module:
    """The module of one node; what it holds is written into ``build``.

    Raises:
        Unsupported: PyTorch has no such layer, with the reason.
    """
    builder = LOWERINGS.find(type(node.layer), native=build.native)
    module = builder(node, build)
    build.modules[node.name] = module
    return module


def lower_chain(nodes: Sequence[Node], build: Build) -> nn.Sequential:
    """The modules of a chain, called by their nodes' names."""
    return nn.Sequential(OrderedDict((node.name, lower(node, build)) for node in nodes))
