"""Every layer, as a frozen description. ``AnyLayer`` is their union, told apart by ``type``.

A layer is found because its class stands in a module of this package: it is registered nowhere, and
imported from its module (``from nncompare.spec.layers.linear import Dense``).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from nncompare.spec.layers.base import Layer, Parameter, Role, TensorSpec
from nncompare.spec.unions import defined_in

_READING_ORDER = (
    "linear",
    "convolution",
    "structure",
    "recurrent",
    "attention",
    "normalization",
    "activation",
)
"""The modules in the order of lists and pages; others come after them."""


def _place(item: tuple[str, type[Layer]]) -> int:
    """Where a layer's module stands in lists."""
    module = item[1].__module__.rpartition(".")[2]
    return _READING_ORDER.index(module) if module in _READING_ORDER else len(_READING_ORDER)


_found = defined_in(sys.modules[__name__], Layer, "type")
LAYERS: dict[str, type[Layer]] = dict(sorted(_found.items(), key=_place))
"""Every layer class by its ``type``, in the order of ``nncompare list``."""

if TYPE_CHECKING:
    AnyLayer = Layer
else:
    AnyLayer = Annotated[Union[tuple(LAYERS.values())], Field(discriminator="type")]  # noqa: UP007
    for _layer in LAYERS.values():
        # only now is there an answer to what layers a layer can hold
        _layer.model_rebuild(_types_namespace={"AnyLayer": AnyLayer})

__all__ = ["LAYERS", "AnyLayer", "Layer", "Parameter", "Role", "TensorSpec"]
