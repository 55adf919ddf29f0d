"""Updates: one step of the optimizer by its formula, applied to the runtime's own gradient.

=========  ======================================================================================
float64    a few steps with learning rates that change on purpose, and the first step after a load,
           which an optimizer takes that remembers nothing; absolute, and narrower where the step is
           small
float32    the same steps without the one after a load, relative to the step, in the entries whose
           gradient is more than rounding
rounding   what a gradient that is nothing but rounding makes of an optimizer that divides by the
           gradient's size
=========  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import updates
from nncompare.studies.verify.checks import dead
from nncompare.studies.verify.checks.check import FORMULA, Check, Pairing
from nncompare.studies.verify.checks.distance import absolute, scale, size
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

TOLERANCE = 1e-11
"""One step in float64, absolute."""
SHARE = 1e-7
"""The same relative to the step, where that is less: of a small step ``TOLERANCE`` is a large part.
"""
SMALL_GRADIENT = 1e-6
"""A gradient below this share of the largest may be rounding, and its step is judged by
``TOLERANCE`` alone.
"""
FLOAT32 = 1e-5
"""One step in float32, relative to the step, besides the rounding of the weight."""
SURE = 1e-3
"""Entries whose float32 gradient is below this share of their tensor's are left out ..."""
SURE_OF_ALL = 1e-5
"""... and those below this share of the whole gradient's largest entry."""
_EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One checked update.

    Args:
        number: from 1.
        before, after: the runtime's weights.
        gradient: the runtime's own, before clipping.
        expected: the new weights by the formula.
    """

    number: int
    before: Params
    after: Params
    gradient: Params
    expected: Params


def checked_steps(context: Context, observation: Observation) -> Iterator[Step]:
    """Every checked update with the optimizer's formula; its state is the formula's own."""
    plan = context.plan
    state = updates.State()
    for index in range(plan.update_steps):
        before = observation.update_weights[index]
        gradient = observation.update_gradients[index]
        rate = float(plan.updates.learning_rate[index])
        squares = observation.update_squares.get(index)
        tables = context.tables(plan.updates.rows(index), squares)
        expected, state = context.update(state, before, gradient, rate, tables)
        yield Step(
            number=index + 1,
            before=before,
            after=observation.update_weights[index + 1],
            gradient=gradient,
            expected=expected,
        )


def by_formula(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """Every checked update of a float64 runtime."""
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    for step in checked_steps(context, observation):
        for name in context.trained:
            worst = _distance(step, name)
            yield pairing.check(
                Quantity.UPDATE, name, worst, _tolerance(step, name), step=step.number
            )


def after_load(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The first step of the trajectory: an optimizer that remembers nothing of the steps before
    the load.
    """
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    before = observation.checkpoints[0]
    gradient = observation.start_gradients
    rate = float(context.plan.trajectory.learning_rate[0])
    tables = context.tables(context.plan.trajectory.rows(0), observation.start_squares)
    expected, _ = context.update(updates.State(), before, gradient, rate, tables)
    after = observation.checkpoints[1]
    step = Step(number=1, before=before, after=after, gradient=gradient, expected=expected)
    for name in context.trained:
        worst = _distance(step, name)
        yield pairing.check(
            Quantity.UPDATE_AFTER_LOAD, name, worst, _tolerance(step, name), step=step.number
        )


def _distance(step: Step, name: str) -> float:
    """Of a tensor from its formula; infinite where the runtime does not have it."""
    expected = step.expected.get(name)
    return np.inf if expected is None else absolute(step.after.get(name), expected)


def _tolerance(step: Step, name: str) -> float:
    """Of one tensor's step in float64."""
    if name not in step.gradient or name not in step.before:
        return TOLERANCE
    own = size(step.gradient[name])
    largest = max((size(value) for value in step.gradient.values()), default=0.0)
    if own <= dead.SHARE["float64"] * largest:
        # nothing but rounding, which an optimizer that divides by the gradient's size blows up
        return dead.TOLERANCE
    if own <= SMALL_GRADIENT * largest:
        # part of it may be rounding: its step is no measure
        return TOLERANCE
    moved = size(step.expected[name] - step.before[name])
    # a step that is smaller than the weight's own rounding cannot be seen more sharply than that
    rounding = 8 * float(np.finfo(np.float64).eps) * scale(step.expected[name])
    return min(TOLERANCE, max(SHARE * moved, rounding))


def by_formula_float32(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """Every checked update of a float32 runtime, where its gradient is more than rounding.

    An entry whose gradient was rounding in one step is left out of the later ones, too, since the
    optimizer remembers it.
    """
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype="float32")
    first = observation.update_weights[0]
    sure = {name: np.ones(first[name].shape, bool) for name in context.trained}
    for step in checked_steps(context, observation):
        sizes = [scale(value) for value in step.gradient.values() if value.any()]
        largest = max(sizes, default=1.0)
        for name in context.trained:
            gradient = np.abs(step.gradient[name])
            least = max(SURE * size(gradient), SURE_OF_ALL * largest)
            sure[name] &= gradient > least
            before = step.before[name].astype(np.float64)
            made = step.expected[name]
            # the weight itself is rounded, to one unit in its last place
            rounding = np.maximum(np.abs(before), np.abs(made)) * _EPSILON
            apart = np.maximum(np.abs(step.after[name] - made) - rounding, 0.0)
            moved = _largest_where(np.abs(made - before), sure[name])
            worst = _largest_where(apart, sure[name])
            yield pairing.check(Quantity.UPDATE, name, worst, FLOAT32 * moved, step=step.number)


def _largest_where(values: Array, where: Array) -> float:
    return float(values[where].max(initial=0.0))
