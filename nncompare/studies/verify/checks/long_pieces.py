"""Long pieces: the trajectory's first epochs, trained once more in long pieces as a run trains
them, end at the weights where single steps ended, and give their mean losses.

In float64 only, each runtime against itself; there is nothing to allow for, since the order of all
sums is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nncompare.studies.verify.checks.check import ITSELF, Check
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Subject

WEIGHTS = 1e-10
"""Absolute."""
LOSS = 1e-10
"""Relative."""


def by_itself(subject: Subject) -> Iterator[Check]:
    """The weights at the end, and the mean loss of every piece."""
    plan = subject.context.plan
    seen = subject.seen
    steps = plan.whole_steps
    if not steps:
        # the trajectory is shorter than an epoch
        return
    judged = replace(subject, against=ITSELF)
    single = seen.checkpoints[steps]
    yield from judged.check_each(Quantity.LONG_PIECES, seen.whole, single, WEIGHTS, steps)
    losses = seen.losses[""]
    for given, (begin, end) in zip(seen.whole_losses[""], plan.whole_pieces, strict=True):
        mean = np.asarray(plan.trajectory.mean_loss(begin, end, losses[begin:end]))
        worst = relative(given, mean)
        yield judged.check(Quantity.LOSS_OF_LONG_PIECES, None, worst, LOSS, end)
