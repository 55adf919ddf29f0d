"""Updates: one step of the optimizer by its formula, applied to the runtime's own gradient.

=========  ======================================================================================
float64    a few steps with learning rates that change on purpose, and the first step after a load,
           which an optimizer takes that remembers nothing; absolute, and narrower where the step is
           small
float32    the same steps without the one after a load, relative to the step, in the entries whose
           gradient is more than rounding
rounding   what it explains is added to every tolerance, entry by entry: the roundings of the
           weight itself, and what the gradient's own rounding makes of the step, which is without
           bound where an optimizer divides by the gradient's size
=========  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import updates
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.keys import generator
from nncompare.studies.verify.checks import dead
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import largest, scale, scale_of_all, size
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.rounding import CONDITION, DRAWS, unit_roundoff
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
WEIGHT_ROUNDINGS = 4
"""Of a weight in one step, each of half a unit in its last place: AdamW rounds ``1 - rate decay``,
its product with the weight and the difference, and one product more where the decay is subtracted.
"""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One checked update.

    Args:
        number: from 1.
        before, after: the runtime's weights.
        gradient: the runtime's own, before clipping.
        expected: the new weights by the formula.
        rounding: how far rounding may put each new weight off, absolute.
    """

    number: int
    before: Params
    after: Params
    gradient: Params
    expected: Params
    rounding: Params

    def worst(self, name: str, tolerance: float, among: Array | None = None) -> tuple[float, float]:
        """The weight of a tensor that comes nearest to failing, or fails by most.

        Args:
            tolerance: besides what rounding explains of each weight.
            among: mask of the weights that are judged; None: all.

        Returns:
            How far it is off, infinite for a missing tensor, another shape, or a number that is not
            finite on one side only; and the tolerance with what rounding explains of it.
        """
        after = self.after.get(name)
        expected = self.expected.get(name)
        if after is None or expected is None or after.shape != expected.shape:
            return np.inf, tolerance
        chosen = np.ones(expected.shape, bool) if among is None else among
        finite = np.isfinite(expected)
        # whatever rounding explains
        if not np.array_equal(np.isfinite(after)[chosen], finite[chosen]):
            return np.inf, tolerance
        # overflow in the same place is no difference
        chosen = chosen & finite
        if not chosen.any():
            return 0.0, tolerance
        apart = np.abs(after[chosen].astype(np.float64) - expected[chosen])
        allowed = tolerance + self.rounding[name][chosen]
        nearest = (apart / np.maximum(allowed, np.finfo(float).tiny)).argmax()
        return float(apart[nearest]), float(allowed[nearest])


class _Formula:
    """The optimizer's formula, step after step, and what rounding makes of it.

    Beside the formula on the runtime's gradients run a few on gradients that are rounded at random,
    each with a state of its own: how far these lie apart is the condition of the step.
    """

    def __init__(self, context: Context):
        self._context = context
        self._unit = unit_roundoff(context)
        self._state = updates.State()
        self._noisy = [updates.State()] * DRAWS

    def step(
        self,
        before: Params,
        after: Params,
        gradient: Params,
        plan: BatchPlan,
        index: int,
        squares: Params | None,
    ) -> Step:
        """The next step; the arguments are those of ``Step`` and ``Context.update``."""
        context = self._context
        expected, self._state = context.update(self._state, before, gradient, plan, index, squares)
        moved = {name: np.zeros_like(made) for name, made in expected.items()}
        for draw in range(DRAWS):
            noisy = {
                name: self._rounded(name, value, index, draw) for name, value in gradient.items()
            }
            made, self._noisy[draw] = context.update(
                self._noisy[draw], before, noisy, plan, index, squares
            )
            for name, value in made.items():
                # where both overflow there is no number to be apart
                apart = np.nan_to_num(np.abs(value - expected[name]))
                moved[name] = np.maximum(moved[name], apart)
        rounding = {
            name: CONDITION * moved[name] + self._of_weight(before[name], made)
            for name, made in expected.items()
        }
        return Step(
            number=index + 1,
            before=before,
            after=after,
            gradient=gradient,
            expected=expected,
            rounding=rounding,
        )

    def _rounded(self, name: str, gradient: Array, index: int, draw: int) -> Array:
        """The gradient with a rounding of its tensor's largest entry in each of its own.

        An entry is a sum whose terms may be as large as that. One that is zero has no terms: a
        token that does not occur, a unit that is off.
        """
        noise = generator(draw, f"rounding/update {index}/{name}").standard_normal(gradient.shape)
        return np.where(gradient == 0, 0.0, gradient + self._unit * size(gradient) * noise)

    def _of_weight(self, before: Array, after: Array) -> Array:
        larger = np.maximum(np.abs(before.astype(np.float64)), np.abs(after))
        return WEIGHT_ROUNDINGS * self._unit * larger


def checked_steps(context: Context, observation: Observation) -> Iterator[Step]:
    """Every checked update with the optimizer's formula; its state is the formula's own."""
    plan = context.plan
    formula = _Formula(context)
    for index in range(plan.update_steps):
        yield formula.step(
            observation.update_weights[index],
            observation.update_weights[index + 1],
            observation.update_gradients[index],
            plan.updates,
            index,
            # given by runtimes whose embeddings keep the gradients of single tokens apart
            observation.update_squares.get(index),
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
    step = _Formula(context).step(
        seen.checkpoints[0],
        seen.checkpoints[1],
        seen.start_gradients,
        context.plan.trajectory,
        0,
        seen.start_squares,
    )
    yield from _check_tensors(subject, Quantity.UPDATE_AFTER_LOAD, step)


def _check_tensors(subject: Subject, quantity: Quantity, step: Step) -> Iterator[Check]:
    """One step in float64, tensor by tensor."""
    for name in subject.context.trained:
        worst, tolerance = step.worst(name, _tolerance(step, name))
        yield subject.check(quantity, name, worst, tolerance, step.number)


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
            moved = size((step.expected[name] - before)[sure[name]])
            worst, tolerance = step.worst(name, FLOAT32 * moved, sure[name])
            yield subject.check(Quantity.UPDATE, name, worst, tolerance, step.number)
