"""One layer at work: its input, its output, and its formula with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics.reference import FORWARD, Run
from nncompare.spec.model import Node

Suspect = tuple[str, Array]
"""What it looks like, and the output that it would give. Suspects come from generators, so that
each is computed when its turn comes and not before.
"""
_NOTHING = np.empty(0)


class Scene:
    """One layer at work.

    Args:
        node: the layer at its place.
        p: its own parameters by short name.
        x: the input that the runtime gave it; ``given``: the output that the runtime made of it.
        run: training or inference, masks.

    Attributes:
        rounding: what the dtype of ``given`` leaves open, relative to its largest value.
    """

    def __init__(self, node: Node, p: Params, x: Array, given: Array, run: Run):
        self.node, self.p, self.run = node, p, run
        self.x = x if x.dtype.kind in "iu" else np.asarray(x, np.float64)
        self.rounding = 30 * float(np.finfo(given.dtype).eps) if given.dtype.kind == "f" else 0.0
        self.given = np.asarray(given, np.float64)

    def formula(
        self,
        params: Mapping[str, Array] | None = None,
        *,
        fields: Mapping[str, Any] | None = None,
        x: Array | None = None,
    ) -> Array:
        """The layer's formula with other parameters, other fields or another input; nothing where
        these do not fit.
        """
        layer = self.node.layer.model_copy(update=dict(fields or {}))
        node = Node(
            name=self.node.name, layer=layer, input=self.node.input, output=self.node.output
        )
        try:
            made = FORWARD[layer.type](
                node, {**self.p, **(params or {})}, self.x if x is None else x, self.run
            )
        except (ValueError, IndexError, KeyError):
            return _NOTHING
        return np.asarray(made)

    def in_other_mode(self) -> Array:
        """The formula in inference mode for training, and the other way round."""
        run = Run(
            params=self.run.params,
            forward=FORWARD,
            training=not self.run.training,
            masks=self.run.masks,
        )
        return Scene(self.node, self.p, self.x, self.given, run).formula()

    @property
    def layer(self) -> Any:
        return self.node.layer
