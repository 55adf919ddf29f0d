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

from nncompare.backends.base import Params
from nncompare.numerics import updates
from nncompare.studies.verify.checks import dead
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import absolute, largest, scale, scale_of_all, size
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Subject
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
        # given by runtimes whose embeddings keep the gradients of single tokens apart
        squares = observation.update_squares.get(index)
        expected, state = context.update(state, before, gradient, plan.updates, index, squares)
        yield Step(
            number=index + 1,
            before=before,
            after=observation.update_weights[index + 1],
            gradient=gradient,
            expected=expected,
        )


def by_formula(subject: Subject) -> Iterator[Check]:
    """Every checked update of a float64 runtime."""
    for step in checked_steps(subject.context, subject.seen):
        yield from _check_tensors(subject, Quantity.UPDATE, step)


def after_load(subject: Subject) -> Iterator[Check]:
    """The first step of the trajectory: an optimizer that remembers nothing of the steps before
    the load.
    """
    context = subject.context
    seen = subject.seen
    before = seen.checkpoints[0]
    after = seen.checkpoints[1]
    gradient = seen.start_gradients
    plan = context.plan.trajectory
    fresh = updates.State()
    expected, _ = context.update(fresh, before, gradient, plan, 0, seen.start_squares)
    step = Step(number=1, before=before, after=after, gradient=gradient, expected=expected)
    yield from _check_tensors(subject, Quantity.UPDATE_AFTER_LOAD, step)


def _check_tensors(subject: Subject, quantity: Quantity, step: Step) -> Iterator[Check]:
    """One step in float64, tensor by tensor."""
    for name in subject.context.trained:
        expected = step.expected.get(name)
        # a tensor that the runtime does not have
        worst = np.inf if expected is None else absolute(step.after.get(name), expected)
        yield subject.check(quantity, name, worst, _tolerance(step, name), step.number)


def _tolerance(step: Step, name: str) -> float:
    """Of one tensor's step in float64."""
    # without a gradient or weights there is no step to measure by
    if name not in step.gradient or name not in step.before:
        return TOLERANCE
    own = size(step.gradient[name])
    whole = largest(step.gradient)
    if own <= dead.SHARE["float64"] * whole:
        # nothing but rounding, which an optimizer that divides by the gradient's size blows up
        return dead.TOLERANCE
    if own <= SMALL_GRADIENT * whole:
        # part of it may be rounding: its step is no measure
        return TOLERANCE
    expected = step.expected[name]
    moved = size(expected - step.before[name])
    # a step that is smaller than the weight's own rounding cannot be seen more sharply than that
    rounding = 8 * float(np.finfo(np.float64).eps) * scale(expected)
    return min(TOLERANCE, max(SHARE * moved, rounding))


def by_formula_float32(subject: Subject) -> Iterator[Check]:
    """Every checked update of a float32 runtime, where its gradient is more than rounding.

    An entry whose gradient was rounding in one step is left out of the later ones, too, since the
    optimizer remembers it.
    """
    context = subject.context
    seen = subject.seen
    sure = {name: np.ones(seen.update_weights[0][name].shape, bool) for name in context.trained}
    for step in checked_steps(context, seen):
        whole = scale_of_all(step.gradient)
        for name in context.trained:
            gradient = np.abs(step.gradient[name])
            sure[name] &= gradient > max(SURE * size(gradient), SURE_OF_ALL * whole)
            # the formula is evaluated in float64, from the weights as they are
            before = step.before[name].astype(np.float64)
            made = step.expected[name]
            # the weight itself is rounded, to one unit in its last place
            rounding = np.maximum(np.abs(before), np.abs(made)) * _EPSILON
            apart = np.maximum(np.abs(step.after[name] - made) - rounding, 0.0)
            moved = size((made - before)[sure[name]])
            worst = size(apart[sure[name]])
            yield subject.check(Quantity.UPDATE, name, worst, FLOAT32 * moved, step.number)
