"""Which formula belongs to which layer: a formula says so itself, where it stands."""

from __future__ import annotations

from collections.abc import Callable

from nncompare.numerics.reference.run import Forward
from nncompare.spec.layers import Layer
from nncompare.spec.unions import word_of

FORWARD: dict[str, Forward] = {}
"""Layer type -> its formula, for the same types as ``spec.layers.LAYERS``."""


def formula(layer: type[Layer]) -> Callable[[Forward], Forward]:
    """Makes the function below it the formula of ``layer``.

    Raises:
        ValueError: the layer has one already.
    """
    kind = word_of(layer, "type")
    assert kind is not None, f"{layer.__name__} is a base of layers"

    def register(function: Forward) -> Forward:
        if kind in FORWARD:
            raise ValueError(f"{kind} has two formulas")
        FORWARD[kind] = function
        return function

    return register
