"""One forward pass: parameters in, every node's output out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.numerics.semantics import (
    ALIGNED,
    SECOND_BIAS,
    FinalActivation,
    RecurrentBiases,
    Semantics,
)
from nncompare.spec.data import Task
from nncompare.spec.model import Model, Node

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
        semantics: what layers mean where frameworks differ.
        sides: None, or node -> the side on which its kinks are held; filled by the first pass.

    Attributes:
        outputs: filled in order of computation.
        statistics: in training, node -> name of each of its running statistics -> what the batch
            adds to it.
    """

    params: Params
    forward: Mapping[str, Forward]
    training: bool = False
    masks: Masks | None = None
    semantics: Semantics = ALIGNED
    outputs: dict[str, Array] = field(default_factory=dict)
    statistics: dict[str, Params] = field(default_factory=dict)
    sides: dict[str, Array] | None = None

    def hold(self, node: Node, side: Array) -> Array:
        """On which side of its kinks a layer is: ``side``, but in a pass in which the kinks are
        held (see ``kinks``) what the first pass has found.
        """
        return side if self.sides is None else self.sides.setdefault(node.name, side)

    def chain(self, nodes: Sequence[Node], x: Array) -> Array:
        """Output of the last of ``nodes``; ``x`` itself if there are none."""
        for node in nodes:
            x = self.forward[node.layer.type](node, self._own(node), x, self)
            self.outputs[node.name] = x
        return x

    def logits(self, model: Model, task: Task, x: Array) -> Array:
        """What the data loss takes: the model's output, or what goes into the activation at its
        end where the loss takes that back.

        Args:
            x: the model's input.
        """
        *before, last = model.nodes
        taken_back = self.semantics.final_activation is FinalActivation.TAKEN_BACK
        if not taken_back or last.layer.probabilities_of != task:
            return self.outputs[last.name]
        return self.outputs[before[-1].name] if before else x

    def _own(self, node: Node) -> Params:
        """The node's own parameters by short name, with those that only a framework's layer has."""
        names = [item.name for item in node.parameters]
        doubled = self.semantics.recurrent_biases is RecurrentBiases.TWO
        # canonical weights may come without it: then it is zero
        if doubled and f"{node.name}.{SECOND_BIAS}" in self.params and SECOND_BIAS not in names:
            names.append(SECOND_BIAS)
        return {name: np.asarray(self.params[f"{node.name}.{name}"], np.float64) for name in names}


Forward = Callable[[Node, Params, Array, Run], Array]
"""``(node, its own parameters by short name, input, run)`` -> output. Arrays have the batch axis in
front.
"""
