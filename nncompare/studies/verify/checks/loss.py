"""The minimized loss of one batch, penalties included, at given weights, by its formula.

In float64 also the losses of the checked updates, as the training loop gave them. Float32 is judged
at the probe weights alone; the losses of its training are checks of the trajectory. Sums of batch
norm and the condition of the network may widen the tolerance (``rounding``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Subject

TOLERANCE = {"float64": 1e-12, "float32": 1e-6}
"""Relative."""


def at_probe(subject: Subject) -> Iterator[Check]:
    """The loss that comes with the gradient at the probe weights."""
    yield _check(subject, subject.seen.loss[""], subject.context.probe_loss, None)


def of_updates(subject: Subject) -> Iterator[Check]:
    """The loss of every checked update, at the weights that the runtime had before it."""
    context = subject.context
    seen = subject.seen
    plan = context.plan
    for step in range(plan.update_steps):
        expected = context.loss(seen.update_weights[step], plan.updates.rows(step), step)
        yield _check(subject, seen.update_losses[""][step], expected, step + 1)


def _check(subject: Subject, given: Array, expected: float, step: int | None) -> Check:
    worst = relative(np.asarray(given), np.asarray(expected))
    return subject.check(Quantity.LOSS, None, worst, TOLERANCE[subject.context.dtype], step)
