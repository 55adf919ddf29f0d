"""The trajectory: a training whose every loss is compared, and whose weights are compared wherever
they were kept.

=========  =====================================================================================
float64    every loss and all kept weights between runtimes; every loss by its formula, where the
           weights before its step were kept
float32    the losses by their formula, too; losses and last weights between runtimes by their
           floors (``floor``)
rounding   the condition of the network (``rounding``); and where a training is chaotic, what a
           change of the initial weights by rounding does to one and the same runtime (``growth``)
=========  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks import dead, floor
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import absolute, relative, scale
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Pair, Subject
from nncompare.wire.observation import Observation

LOSS = 1e-10
"""Of every loss in float64, relative (``loss_size``)."""
LOSS_FLOAT32 = 3e-5
"""Of a loss in float32 by its formula, relative."""
QUICK_LOSS_FLOAT32 = 1e-3
"""Of every loss between float32 runtimes of which no float64 losses are known, relative."""
FIRST_WEIGHTS = 1e-11
"""Between runtimes after the first step, absolute."""
WEIGHTS = 1e-10
"""Between runtimes at every later checkpoint, absolute."""
_EPSILON = float(np.finfo(np.float32).eps)
_LOG_ONE = 4.0
"""Roundings of a logarithm near zero, of the sum in it and of their mean."""


def loss_size(loss: Array | float, first: float) -> Array:
    """What the difference of a training loss is relative to, in the shape of ``loss``: its size,
    but never less than a thousandth of the first loss, since a net that has learned its few
    examples by heart has no digits left to compare; 1 where all is zero.
    """
    size = np.maximum(np.abs(loss), 1e-3 * abs(first))
    return np.where(size == 0, 1.0, size)


def losses_by_formula(subject: Subject) -> Iterator[Check]:
    """The loss by its formula, wherever the weights before the step were kept."""
    context = subject.context
    seen = subject.seen
    given = seen.losses[""]
    for step, weights in sorted(seen.checkpoints.items()):
        # after the last step there is no loss any more
        if step >= context.steps:
            continue
        expected = np.asarray(context.loss(weights, context.plan.trajectory.rows(step), step))
        worst = absolute(given[step], expected) / float(loss_size(expected, float(given[0])))
        narrow = context.dtype == "float32"
        tolerance = _tolerance_float32(seen, step) if narrow else LOSS
        yield subject.check(Quantity.LOSS_EVERY_STEP, None, worst, tolerance, step + 1)


def _tolerance_float32(observation: Observation, step: int) -> float:
    """Relative, but no less than the rounding of ``log 1``, which is all that is left of the cross
    entropy of a net that has learned its examples by heart, and of the logits, where these are
    smaller.
    """
    losses = observation.losses[""]
    size = float(loss_size(float(losses[step]), float(losses[0])))
    rounding = _EPSILON * min(_LOG_ONE, scale(observation.logits[""]))
    return max(LOSS_FLOAT32, rounding / size)


def losses_between(pair: Pair) -> Iterator[Check]:
    """The loss of every step of two float64 runtimes, each a check."""
    first = pair.seen.losses[""]
    second = pair.other.losses[""]
    sizes = loss_size(second, float(second[0]))
    for step, (x, y, size) in enumerate(zip(first, second, sizes, strict=True)):
        # both may have diverged, and that is the same; one alone may not
        worst = absolute(x, y)
        # a loss that has diverged has no size; then the two are equal or infinitely far apart
        if np.isfinite(size):
            worst /= float(size)
        yield pair.check(Quantity.LOSS_EVERY_STEP, None, worst, LOSS, step + 1)


def weights_after_first_step(pair: Pair) -> Iterator[Check]:
    """All parameters of two float64 runtimes after the first step."""
    yield from _weights(pair, 1, Quantity.WEIGHTS_AFTER_STEP_1, FIRST_WEIGHTS)


def later_weights(pair: Pair) -> Iterator[Check]:
    """All parameters of two float64 runtimes at every later step after which they were kept."""
    for mark in sorted(pair.other.checkpoints):
        # after 0 steps: as they were loaded, which is judged by itself. Where the whole trajectory
        # is one step, its weights count as the last ones, too
        if mark > 1 or (mark == 1 == pair.context.steps):
            yield from _weights(pair, mark, Quantity.WEIGHTS, WEIGHTS)


def _weights(pair: Pair, mark: int, quantity: Quantity, tolerance: float) -> Iterator[Check]:
    """Live tensors, dead ones and running statistics apart, after ``mark`` steps."""
    given = pair.seen.checkpoints[mark]
    right = pair.other.checkpoints[mark]
    drift = max((absolute(given.get(name), right[name]) for name in pair.dead), default=0.0)
    for name in pair.context.model.parameters:
        x = given.get(name)
        y = right[name]
        kind = quantity
        room = tolerance
        worst = absolute(x, y)
        if name in pair.context.running:
            kind = Quantity.FINAL_RUNNING_STATISTICS
            # a mean goes with the dead bias before it, of which it may be a small part
            room = dead.TOLERANCE + 4 * min(drift, dead.TOLERANCE) / scale(y)
            worst = relative(x, y)
        elif name in pair.dead:
            # its steps are made of rounding, by an optimizer that may blow it up
            kind = Quantity.DEAD_WEIGHTS
            room = dead.TOLERANCE
        yield pair.check(kind, name, worst, room, mark)


def between_float32(pair: Pair) -> Iterator[Check]:
    """Every loss and the last weights of two float32 runtimes within their floors."""
    yield from _losses_within_floors(pair)
    last = pair.context.plan.checkpoints[-1]
    tensors = [observation.checkpoints[last] for observation in pair.all]
    yield from floor.check_tensors(pair, Quantity.WEIGHTS, tensors, last)


def _losses_within_floors(pair: Pair) -> Iterator[Check]:
    """A floor never falls again: what rounding has moved once stays moved. It ends where a loss is
    not finite.
    """
    a, b, a_wide, b_wide = (observation.losses[""] for observation in pair.all)
    # two losses that have both overflown have no distance
    with np.errstate(invalid="ignore"):
        own = np.maximum(np.abs(a - a_wide), np.abs(b - b_wide))
    floors = np.maximum.accumulate(np.maximum(own, floor.LEAST * np.abs(b_wide)))
    quantity = Quantity.LOSS_EVERY_STEP
    for step, (x, y, height) in enumerate(zip(a, b, floors, strict=True)):
        yield from floor.within(pair, quantity, None, absolute(x, y), float(height), step + 1)


def losses_without_floor(pair: Pair) -> Iterator[Check]:
    """Every loss of two float32 runtimes of which no float64 losses are known, as in a run."""
    given = pair.seen.losses[""]
    right = pair.other.losses[""]
    first = abs(float(right[0]))
    for step, (x, y) in enumerate(zip(given, right, strict=True)):
        # a loss near zero has no digits left; a NaN stays one, and fails
        worst = abs(float(x) - float(y)) / max(abs(float(y)), 1e-2 * first, 1e-12)
        yield pair.check(Quantity.LOSS_EVERY_STEP, None, worst, QUICK_LOSS_FLOAT32, step + 1)
