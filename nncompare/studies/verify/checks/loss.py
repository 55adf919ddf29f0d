"""The minimized loss of one batch, penalties included, at given weights, by its formula.

In float64 also the losses of the checked updates, as the training loop gave them. Float32 is judged
at the probe weights alone; the losses of its training are checks of the trajectory. Sums of batch
norm and the condition of the network may widen the tolerance (``rounding``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.studies.verify.checks.check import FORMULA, Check, Pairing
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

TOLERANCE = {"float64": 1e-12, "float32": 1e-6}
"""Relative."""


def at_probe(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The loss that comes with the gradient at the probe weights."""
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    worst = relative(np.asarray(observation.loss[""]), np.asarray(context.probe_loss))
    yield pairing.check(Quantity.LOSS, None, worst, TOLERANCE[context.dtype])


def of_updates(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The loss of every checked update, at the weights that the runtime had before it."""
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    plan = context.plan
    given = observation.update_losses[""]
    for step in range(plan.update_steps):
        weights = observation.update_weights[step]
        expected = context.loss(weights, plan.updates.rows(step), step)
        worst = relative(np.asarray(given[step]), np.asarray(expected))
        yield pairing.check(Quantity.LOSS, None, worst, TOLERANCE[context.dtype], step + 1)
