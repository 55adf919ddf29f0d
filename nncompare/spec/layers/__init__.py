"""Every layer, as a frozen description. ``AnyLayer`` is their union, told apart by ``type``.

A layer is found because its class stands in a module of this package: it is registered nowhere, and
imported from its module (``from nncompare.spec.layers.linear import Dense``).
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from nncompare.spec.layers.base import Layer, Parameter, Role, TensorSpec
from nncompare.spec.unions import word_of

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


def _discover() -> dict[str, type[Layer]]:
    """The layers that the modules of this package define, by their types."""
    others = sorted({info.name for info in pkgutil.iter_modules(__path__)} - {*_READING_ORDER})
    found: dict[str, type[Layer]] = {}
    for name in (*_READING_ORDER, *others):
        module = import_module(f"{__name__}.{name}")
        for value in vars(module).values():
            is_layer = isinstance(value, type) and issubclass(value, Layer)
            if not is_layer or value.__module__ != module.__name__:
                continue
            kind = word_of(value, "type")
            if kind is None:
                continue  # a base of layers
            if kind in found:
                raise TypeError(f"{value.__name__} and {found[kind].__name__} are both {kind!r}")
            found[kind] = value
    return found


LAYERS: dict[str, type[Layer]] = _discover()
"""Every layer class by its ``type``, in the order of ``nncompare list``."""

if TYPE_CHECKING:
    AnyLayer = Layer
else:
    AnyLayer = Annotated[Union[tuple(LAYERS.values())], Field(discriminator="type")]  # noqa: UP007
    for _layer in LAYERS.values():
        # only now is there an answer to what layers a layer can hold
        _layer.model_rebuild(_types_namespace={"AnyLayer": AnyLayer})

__all__ = ["LAYERS", "AnyLayer", "Layer", "Parameter", "Role", "TensorSpec"]
