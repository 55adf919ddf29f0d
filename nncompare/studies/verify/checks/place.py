"""Where the formula of a check is evaluated: weights, examples, mode."""

from __future__ import annotations

from dataclasses import dataclass

from nncompare.backends.base import Array, Params
from nncompare.data.base import Split
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation


@dataclass(frozen=True, kw_only=True)
class Place:
    """One evaluation of the formulas.

    Args:
        params: canonical weights.
        x: examples, ``(N, …)``; ``y``: their targets.
        step: whose dropout masks hold, from 0; None: inference mode.
    """

    params: Params
    x: Array
    y: Array
    step: int | None


def place_of(context: Context, observation: Observation, check: Check) -> Place | None:
    """The place of a check that a forward pass decides; None for the other quantities.

    Args:
        observation: of the check's runtime.
    """
    plan = context.plan
    train = context.data.train
    step = None if check.step is None else check.step - 1
    match check.quantity, step:
        case Quantity.FORWARD, _:
            return _at(context.probe, train, plan.forward_rows, None)
        case Quantity.FORWARD_TRAINING, _:
            return _at(context.probe, train, plan.forward_rows, 0)
        case Quantity.FORWARD_AFTER_UPDATES, _:
            weights = observation.update_weights[plan.update_steps]
            return _at(weights, train, plan.forward_rows, None)
        case Quantity.LOSS, None:
            return _at(context.probe, train, plan.gradient_rows, 0)
        case Quantity.LOSS, int():
            return _at(observation.update_weights[step], train, plan.updates.rows(step), step)
        case Quantity.LOSS_EVERY_STEP, int():
            return _at(observation.checkpoints[step], train, plan.trajectory.rows(step), step)
        case Quantity.LOGITS, int():
            test = context.data.test
            return Place(params=observation.checkpoints[step + 1], x=test.x, y=test.y, step=None)
        case _:
            return None


def _at(params: Params, split: Split, rows: Array, step: int | None) -> Place:
    return Place(params=params, x=split.x[rows], y=split.y[rows], step=step)
