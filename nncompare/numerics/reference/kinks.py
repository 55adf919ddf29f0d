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
from nncompare.numerics.reference.run import Array, Forward, Masks, Params, Run
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.data import Task
from nncompare.spec.model import Model
from nncompare.spec.training import Penalty

Table = Mapping[str, Forward]


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
    semantics: Semantics = ALIGNED,
) -> Callable[[Params], float]:
    """The minimized loss of a batch in training mode as a function of the parameters, kinks held as
    they are ``at``.

    ReLU and leaky ReLU keep where they are positive, a max pool keeps which value of its window it
    takes (a formula asks ``Run.hold``), and an L1 penalty keeps its signs.

    Args:
        at: canonical parameters; there the value is that of ``reference.loss``.
        forward: layer type -> formula, or a changed one, for a loss with something else held, too.
        masks: see ``reference.outputs``.
        semantics: see ``reference.loss``.
    """
    sides: dict[str, Array] = {}
    signs = {name: np.sign(at[name]) for name, item in model.parameters.items() if item.penalized}

    def f(params: Params) -> float:
        run = Run(
            params=params,
            forward=forward,
            training=True,
            masks=masks,
            semantics=semantics,
            sides=sides,
        )
        run.chain(model.nodes, x)
        value = losses.data_loss(task, run.logits(model, task, x), y)
        value += semantics.constant("penalty.l1", penalty.l1) * sum(
            float((sign * params[name]).sum()) for name, sign in signs.items()
        )
        return value + losses.penalty(params, model, 0.0, penalty.l2, semantics=semantics)

    f(at)  # the first pass decides the sides
    return f
