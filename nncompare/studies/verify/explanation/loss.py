"""Wrong losses: the reference loss, with one thing changed.

One change must explain every loss that is known together with its weights, since any single loss
fits any one number. What a training loop alone can get wrong, the examples, masks or mode of one
step, is tried for that step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import losses
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.layers import Parameter
from nncompare.spec.training import Penalty
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.fields import numbers
from nncompare.studies.verify.explanation.matching import Change, Fit, Target
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
    point, plan = _point_of(context, observation, check)
    if not np.isfinite(point.given):
        return "the loss is no number"
    known = _known_points(context, observation) if check.quantity == Quantity.LOSS else [point]
    with np.errstate(all="ignore"):
        words = None
        if plan is not None:
            # the loss has been right at the probe weights: what can happen in training alone is the
            # likelier
            words = _target(context, [point]).best(_in_training(context, point, plan))
        return words or all_points_look_like(context, known)


def all_points_look_like(context: Context, points: Sequence[Point]) -> str | None:
    """The change that explains every one of several losses, in words."""
    target = _target(context, points)
    words = target.best(_described(context, points)) or target.best(_transformed(context, points))
    # a number is fitted to no fewer losses than would tell that it is the wrong one
    if words is None and _wrong(target) >= 2:
        words = target.fitted(_scaled(context, points))
    return words


def _target(context: Context, points: Sequence[Point]) -> Target:
    """Every loss relative to the right one, so that all count the same."""
    right = _losses(context, points)
    given = np.array([point.given for point in points])
    sizes = np.where(right == 0, 1.0, np.abs(right))
    target = Target(given=given, right=right, unit=sizes, limit=_TOLERANCE[context.dtype])
    # nearly all of a deviation must be explained, however small it is
    return replace(target, limit=min(target.limit, 0.1 * target.deviation))


def _wrong(target: Target) -> int:
    return int((np.abs(target.given - target.right) > target.limit * target.unit).sum())


def _losses(context: Context, points: Sequence[Point]) -> Array:
    return np.array([context.loss(point.params, point.rows, point.step) for point in points])


def _described(context: Context, points: Sequence[Point]) -> Iterator[Change]:
    """Other meanings of what frameworks disagree on."""
    for other in context.semantics.alternatives(context.job):
        changed = replace(context, semantics=other.semantics)
        yield f"{other.setting}: {other.words}", _losses(changed, points)


def _transformed(context: Context, points: Sequence[Point]) -> Iterator[Change]:
    """What can happen to any loss: rounded examples, and other parameters that are penalized."""
    narrow = context.data.train.x
    if narrow.dtype == np.float64:
        train = replace(context.data.train, x=narrow.astype(np.float32).astype(np.float64))
        changed = replace(context, data=replace(context.data, train=train))
        yield "the examples are rounded to float32", _losses(changed, points)
    right = _losses(context, points)
    for words, names in _sets(context):
        yield words, right + np.array([_penalty_change(context, point, names) for point in points])


def _sets(context: Context) -> Iterator[tuple[str, list[str]]]:
    """Parameters whose penalty may be there where it should not be, or missing: all of one role,
    and each alone.
    """
    trained = {name: item for name, item in context.model.parameters.items() if item.trainable}
    roles = dict.fromkeys(item.role for item in trained.values())
    for role in roles:
        names = [name for name, item in trained.items() if item.role == role]
        yield _penalized(trained[names[0]], f"every {role}"), names
    free = [name for name, item in trained.items() if not item.penalized]
    yield "every trained parameter is penalized", free
    for name, item in trained.items():
        yield _penalized(item, name), [name]


def _penalized(item: Parameter, name: str) -> str:
    return f"{name} is not penalized" if item.penalized else f"{name} is penalized, too"


def _penalty_change(context: Context, point: Point, names: Sequence[str]) -> float:
    """What it adds to the loss if these parameters are penalized where they should not be, and not
    where they should.
    """
    penalty = context.job.experiment.train.penalty
    total = 0.0
    for name in names:
        w = np.asarray(point.params[name], np.float64)
        share = penalty.l1 * float(np.abs(w).sum()) + penalty.l2 * float((w**2).sum())
        total += -share if context.model.parameters[name].penalized else share
    return total


def _scaled(context: Context, points: Sequence[Point]) -> Iterator[Fit]:
    """One number: a factor of the penalty, or a factor or constant of the error beside it."""
    right = _losses(context, points)
    penalty = context.job.experiment.train.penalty
    extra = _penalties(context, points, penalty)

    def with_penalty(other: Penalty) -> Array:
        return np.asarray(right - extra + _penalties(context, points, other))

    yield from numbers(penalty, with_penalty)
    yield "the error counts {0:.10g} times", 1.0, lambda c: extra + c * (right - extra)
    yield "the loss counts {0:.10g} times", 1.0, lambda c: c * right
    examples = np.array([len(point.rows) for point in points])
    words = "the error is summed over its examples, and that counts {0:.10g} times"
    yield words, 1.0, lambda c: extra + c * examples * (right - extra)
    yield "a constant {0:.6g} is added", 0.0, lambda c: right + c


def _penalties(context: Context, points: Sequence[Point], penalty: Penalty) -> Array:
    return np.array(
        [
            losses.penalty(
                point.params,
                context.model,
                penalty.l1,
                penalty.l2,
                semantics=context.semantics,
            )
            for point in points
        ]
    )


def _in_training(context: Context, point: Point, plan: BatchPlan) -> Iterator[Change]:
    """The mode, the masks and the examples of one step."""

    def loss(rows: Array, step: int, *, training: bool = True) -> Array:
        return np.array([context.loss(point.params, rows, step, training=training)])

    yield "the step is left out: its loss is zero", np.zeros(1)
    inference = loss(point.rows, point.step, training=False)
    yield "inference mode in the training loop", inference
    for other in _nearby(plan, point.step):
        if len(plan.rows(other)) == len(point.rows):
            yield f"the dropout masks of step {other + 1}", loss(point.rows, other)
    for other in _nearby(plan, point.step):
        yield f"the examples of step {other + 1}", loss(plan.rows(other), point.step)


def _nearby(plan: BatchPlan, step: int) -> list[int]:
    """Other steps, the nearest first, and the first one."""
    reach = 2 * plan.steps_per_epoch
    steps = {other for other in range(plan.steps) if abs(other - step) <= reach}
    return sorted((steps | {0}) - {step}, key=lambda other: abs(other - step))[:_NEARBY]


def _point_of(
    context: Context, observation: Observation, check: Check
) -> tuple[Point, BatchPlan | None]:
    """The loss of a check, and the plan of the training that it belongs to; None at the probe
    weights.
    """
    if check.step is None:
        rows = context.plan.gradient_rows
        return Point(float(observation.loss[""]), context.probe, rows, 0), None
    step = check.step - 1
    if check.quantity == Quantity.LOSS:
        plan = context.plan.updates
        given, weights = observation.update_losses[""], observation.update_weights
    else:
        plan = context.plan.trajectory
        given, weights = observation.losses[""], observation.checkpoints
    return Point(float(given[step]), weights[step], plan.rows(step), step), plan


def _known_points(context: Context, observation: Observation) -> list[Point]:
    """The loss at the probe weights, and those of the checked updates."""
    found = []
    if "" in observation.loss:
        given = float(observation.loss[""])
        found.append(Point(given, context.probe, context.plan.gradient_rows, 0))
    plan = context.plan.updates
    for step, given in enumerate(observation.update_losses.get("", ())):
        weights = observation.update_weights[step]
        found.append(Point(float(given), weights, plan.rows(step), step))
    return found
