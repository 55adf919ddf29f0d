"""One forward pass: parameters in, every node's output out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.spec.model import Node

Array = NDArray[Any]
Params = dict[str, Array]
Masks = Callable[[str, tuple[int, ...]], NDArray[np.bool_]]
"""``(node, shape)`` -> True where dropout keeps the value."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The state of one pass.

    Args:
        params: canonical parameters.
        forward: layer type -> formula.
        training: batch statistics and dropout masks.
        masks: see ``outputs``.

    Attributes:
        outputs: filled in order of computation.
        statistics: BatchNorm node -> the batch's mean and unbiased variance, in training.
    """

    params: Params
    forward: Mapping[str, Forward]
    training: bool = False
    masks: Masks | None = None
    outputs: dict[str, Array] = field(default_factory=dict)
    statistics: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def chain(self, nodes: Sequence[Node], x: Array) -> Array:
        """Output of the last of ``nodes``; ``x`` itself if there are none."""
        for node in nodes:
            own = {
                item.name: np.asarray(self.params[f"{node.name}.{item.name}"], np.float64)
                for item in node.parameters
            }
            x = self.forward[node.layer.type](node, own, x, self)
            self.outputs[node.name] = x
        return x


Forward = Callable[[Node, Params, Array, Run], Array]
"""``(node, its own parameters by short name, input, run)`` -> output. Arrays have the batch axis in
front.
"""
