"""The loss with every kink held on the side where it is: smooth, and with the gradient that
backpropagation gives.

Of the many units of a network some are so close to a kink that a difference of the loss steps over
it, however short the step. A unit that stays on its side for every step makes the loss a smooth
function with the same gradient there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nncompare.numerics import losses
from nncompare.numerics.reference.activation import slope
from nncompare.numerics.reference.convolution import windows
from nncompare.numerics.reference.run import Array, Forward, Masks, Params, Run
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.data import Task
from nncompare.spec.model import Model, Node
from nncompare.spec.training import Penalty

Table = Mapping[str, Forward]


class Sides:
    """The sides of every kink; the first pass with ``table`` decides, and later ones keep to it.

    Args:
        forward: layer type -> formula.

    Attributes:
        table: the same, with the kinks held.
    """

    def __init__(self, forward: Table):
        self._known: dict[str, Array] = {}
        kinked: dict[str, Forward] = {
            "relu": self._relu,
            "leaky_relu": self._leaky,
            "max_pool2d": self._max_pool,
        }
        self.table: Table = {**forward, **kinked}

    def _positive(self, node: Node, x: Array) -> Array:
        return self._known.setdefault(node.name, x > 0)

    def _relu(self, node: Node, _p: Params, x: Array, _run: Run) -> Array:
        return np.where(self._positive(node, x), x, 0.0)

    def _leaky(self, node: Node, _p: Params, x: Array, run: Run) -> Array:
        return np.where(self._positive(node, x), x, slope(node, run) * x)

    def _max_pool(self, node: Node, _p: Params, x: Array, _run: Run) -> Array:
        found = windows(node, x, -np.inf)
        flat = found.reshape(*found.shape[:4], -1)
        if node.name not in self._known:
            self._known[node.name] = flat.argmax(axis=-1)[..., None]
        return np.asarray(np.take_along_axis(flat, self._known[node.name], axis=-1)[..., 0])


def smooth_loss(
    model: Model,
    task: Task,
    at: Params,
    x: Array,
    y: Array,
    *,
    forward: Table,
    penalty: Penalty,
    masks: Masks | None,
    change: Callable[[Table], Table] = lambda table: table,
    semantics: Semantics = ALIGNED,
) -> Callable[[Params], float]:
    """The minimized loss of a batch in training mode as a function of the parameters, kinks held as
    they are ``at``.

    ReLU and leaky ReLU keep where they are positive, a max pool keeps which value of its window it
    takes, and an L1 penalty keeps its signs.

    Args:
        at: canonical parameters; there the value is that of ``reference.loss``.
        forward: layer type -> formula.
        masks: see ``reference.outputs``.
        change: of the formulas with kinks held, for a loss with something else held, too.
        semantics: see ``reference.loss``.
    """
    table = change(Sides(forward).table)
    signs = {name: np.sign(at[name]) for name, item in model.parameters.items() if item.penalized}

    def f(params: Params) -> float:
        run = Run(params=params, forward=table, training=True, masks=masks, semantics=semantics)
        run.chain(model.nodes, x)
        value = losses.data_loss(task, run.logits(model, task, x), y)
        value += semantics.constant("penalty.l1", penalty.l1) * sum(
            float((sign * params[name]).sum()) for name, sign in signs.items()
        )
        return value + losses.penalty(params, model, 0.0, penalty.l2, semantics=semantics)

    f(at)  # the first pass decides the sides
    return f
