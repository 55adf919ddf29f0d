"""Wrong losses.

One change must explain every loss that is known together with its weights, since any single loss
fits any one number. What a training loop alone can get wrong, the examples, masks or mode of one
step, is tried for that step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import losses
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.training import Penalty
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.changed import (
    Change,
    Fit,
    Inputs,
    another_penalty,
    counts,
    to_float32,
)
from nncompare.studies.verify.explanation.matching import Target
from nncompare.wire.observation import Observation

_TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
"""Relative."""
_NEARBY = 12
"""Other steps whose examples and masks are tried."""


@dataclass(frozen=True)
class Point:
    """One loss that a runtime gave.

    Args:
        given: the loss; ``params``: the weights it was made at; ``rows``: of the training examples;
            ``step``: whose masks it took.
    """

    given: float
    params: Params
    rows: Array
    step: int


def loss_looks_like(context: Context, observation: Observation, check: Check) -> str | None:
    """What explains the loss of a failed check, in words."""
    step = check.step or 0
    if check.quantity == Quantity.LOSS:
        # in their order: the loss at the probe weights, then that of update 1
        known = _known_points(context, observation)
        point, plan = known[step], context.plan.updates
    else:
        plan = context.plan.trajectory
        given, weights = observation.losses[""][step - 1], observation.checkpoints[step - 1]
        point = Point(float(given), weights, plan.rows(step - 1), step - 1)
        known = [point]
    if not np.isfinite(point.given):
        return "the loss is no number"
    words = None
    if check.step is not None:
        # the loss has been right at the probe weights: what can happen in training alone is the
        # likelier
        alone = _target(context, [point])
        words = alone.best(_in_training(alone.inputs, point, plan))
    return words or all_points_look_like(context, known)


def all_points_look_like(context: Context, points: Sequence[Point]) -> str | None:
    """The change that explains every one of several losses, in words."""
    target = _target(context, points)
    inputs = target.inputs
    return target.looks_like(_changes(inputs, points), _fits(inputs, points, target.right))


def _target(context: Context, points: Sequence[Point]) -> Target:
    """Every loss relative to itself, so that all count the same."""

    def formula(inputs: Inputs) -> Array:
        made = []
        for point in points:
            rows = inputs.touch("rows", point.rows)
            step = inputs.touch("masks", point.step)
            loss = inputs.context.loss(point.params, rows, step, training=inputs.training)
            made.append(loss)
        return np.array(made)

    given = np.array([point.given for point in points], context.dtype)
    return Target(
        formula=formula,
        inputs=Inputs(context=context),
        given=given,
        tolerance=_TOLERANCE[context.dtype],
        relative_to=np.where(given == 0, 1.0, np.abs(given)),
    )


def _changes(inputs: Inputs, points: Sequence[Point]) -> Iterator[Change]:
    """What can happen to any loss: rounded examples, and other parameters that are penalized."""
    context = inputs.context
    train = context.data.train
    if train.x.dtype == np.float64:
        data = replace(context.data, train=replace(train, x=to_float32(train.x)))
        changed = replace(inputs, context=replace(context, data=data))
        yield "the examples are rounded to float32", changed
    penalty = context.job.experiment.train.penalty
    sets: dict[str, Array] = {}
    for name, item in context.model.parameters.items():
        if not item.trainable:
            continue
        told = "is not penalized" if item.penalized else "is penalized, too"
        free = [] if item.penalized else ["every trained parameter is penalized"]
        weights = [np.asarray(point.params[name], np.float64) for point in points]
        shares = [penalty.l1 * np.abs(w).sum() + penalty.l2 * (w**2).sum() for w in weights]
        sign = -1 if item.penalized else 1
        for words in (f"every {item.role} {told}", *free, f"{name} {told}"):
            sets[words] = sets.get(words, 0.0) + sign * np.array(shares)
    for words, more in sets.items():
        yield words, inputs.result(partial(np.add, more))


def _fits(inputs: Inputs, points: Sequence[Point], right: Array) -> Iterator[Fit]:
    """One number of the penalty, or a factor or constant of the error beside it."""
    context = inputs.context

    def penalties(penalty: Penalty) -> Array:
        made = [
            losses.penalty(
                point.params, context.model, penalty.l1, penalty.l2, semantics=context.semantics
            )
            for point in points
        ]
        return np.array(made)

    own = penalties(context.job.experiment.train.penalty)
    error = right - own
    sums = error * [len(point.rows) for point in points]
    yield from another_penalty(inputs, penalties)
    yield counts(inputs, "the error counts {0:.10g} times", error)
    yield counts(inputs, "the loss counts {0:.10g} times", right)
    words = "the error is summed over its examples, and that counts {0:.10g} times"
    yield words, 1.0, lambda c: inputs.result(lambda _: own + c * sums)
    yield counts(inputs, "a constant {0:.6g} is added", 1.0, start=0.0)


def _in_training(inputs: Inputs, point: Point, plan: BatchPlan) -> Iterator[Change]:
    """The mode, the masks and the examples of one step."""
    yield "the step is left out: its loss is zero", inputs.result(np.zeros_like)
    yield "inference mode in the training loop", replace(inputs, training=False)
    nearby = _nearby(plan, point.step)
    for other in nearby:
        # masks are drawn for a whole batch
        if len(plan.rows(other)) == len(point.rows):
            yield f"the dropout masks of step {other + 1}", inputs.with_values({"masks": other})
    for other in nearby:
        rows = plan.rows(other)
        yield f"the examples of step {other + 1}", inputs.with_values({"rows": rows})


def _nearby(plan: BatchPlan, step: int) -> list[int]:
    """Other steps, the nearest first, and the first one."""
    reach = 2 * plan.steps_per_epoch
    steps = {other for other in range(plan.steps) if abs(other - step) <= reach}
    return sorted((steps | {0}) - {step}, key=lambda other: abs(other - step))[:_NEARBY]


def _known_points(context: Context, observation: Observation) -> list[Point]:
    """The loss at the probe weights, and those of the checked updates."""
    probe = float(observation.loss[""])
    found = [Point(probe, context.probe, context.plan.gradient_rows, 0)]
    plan = context.plan.updates
    for step, given in enumerate(observation.update_losses.get("", ())):
        weights = observation.update_weights[step]
        found.append(Point(float(given), weights, plan.rows(step), step))
    return found
