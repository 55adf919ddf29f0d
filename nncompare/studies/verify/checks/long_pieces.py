"""Long pieces: the trajectory's first epochs, trained once more in long pieces as a run trains
them, end at the weights where single steps ended, and give their mean losses.

In float64 only, each runtime against itself; there is nothing to allow for, since the order of all
sums is the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.studies.verify.checks.check import ITSELF, Check, Pairing
from nncompare.studies.verify.checks.distance import absolute, relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

WEIGHTS = 1e-10
"""Absolute."""
LOSS = 1e-10
"""Relative."""


def by_itself(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The weights at the end, and the mean loss of every piece."""
    steps = context.plan.whole_steps
    if not steps:
        # the trajectory is shorter than an epoch
        return
    pairing = Pairing(runtime=runtime, against=ITSELF, dtype=context.dtype)
    single = observation.checkpoints[steps]
    yield from pairing.check_each(
        Quantity.LONG_PIECES, observation.whole, single, absolute, WEIGHTS, step=steps
    )
    plan = context.plan.trajectory
    pieces = context.plan.whole_pieces
    losses = observation.losses[""]
    for given, (begin, end) in zip(observation.whole_losses[""], pieces, strict=True):
        mean = np.asarray(plan.mean_loss(begin, end, losses[begin:end]))
        worst = relative(given, mean)
        yield pairing.check(Quantity.LOSS_OF_LONG_PIECES, None, worst, LOSS, step=end)
