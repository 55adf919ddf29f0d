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
from nncompare.studies.verify.checks import dead as dead_tensors
from nncompare.studies.verify.checks import floor
from nncompare.studies.verify.checks.check import FORMULA, Check, Pairing
from nncompare.studies.verify.checks.distance import absolute, relative, scale
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
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
COMPARED = frozenset(
    {
        Quantity.WEIGHTS_AFTER_STEP_1,
        Quantity.LOSS_EVERY_STEP,
        Quantity.WEIGHTS,
        Quantity.DEAD_WEIGHTS,
        Quantity.FINAL_RUNNING_STATISTICS,
        Quantity.LOGITS,
    }
)
"""Quantities of the trajectory that are compared between runtimes."""
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


def losses_by_formula(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The loss by its formula, wherever the weights before the step were kept."""
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    given = observation.losses[""]
    for step in sorted(observation.checkpoints):
        if step >= context.steps:
            # after the last step there is no loss any more
            continue
        rows = context.plan.trajectory.rows(step)
        expected = np.asarray(context.loss(observation.checkpoints[step], rows, step))
        worst = absolute(given[step], expected) / float(loss_size(expected, float(given[0])))
        tolerance = LOSS
        if context.dtype == "float32":
            tolerance = _tolerance_float32(observation, step)
        yield pairing.check(Quantity.LOSS_EVERY_STEP, None, worst, tolerance, step + 1)


def _tolerance_float32(observation: Observation, step: int) -> float:
    """Relative, but no less than the rounding of ``log 1``, which is all that is left of the cross
    entropy of a net that has learned its examples by heart, and of the logits, where these are
    smaller.
    """
    losses = observation.losses[""]
    size = float(loss_size(float(losses[step]), float(losses[0])))
    rounding = _EPSILON * min(_LOG_ONE, scale(observation.logits[""]))
    return max(LOSS_FLOAT32, rounding / size)


def losses_between(
    context: Context, runtime: str, against: str, a: Observation, b: Observation
) -> Iterator[Check]:
    """The loss of every step of two float64 runtimes, each a check."""
    pairing = Pairing(runtime=runtime, against=against, dtype=context.dtype)
    first, second = a.losses[""], b.losses[""]
    sizes = loss_size(second, float(second[0])) if len(second) else second
    for step, (x, y, size) in enumerate(zip(first, second, sizes, strict=True)):
        worst = _apart(x, y)
        # a loss that has diverged has no size; then the two are equal or infinitely far apart
        if np.isfinite(size):
            worst /= float(size)
        yield pairing.check(Quantity.LOSS_EVERY_STEP, None, worst, LOSS, step + 1)


def _apart(x: float, y: float) -> float:
    """The distance of two losses. Both may have diverged, and that is the same; one alone may
    not.
    """
    if np.isfinite(x) and np.isfinite(y):
        return abs(float(x) - float(y))
    return 0.0 if np.isfinite(x) == np.isfinite(y) else np.inf


def weights_after_first_step(
    context: Context,
    runtime: str,
    against: str,
    a: Observation,
    b: Observation,
    dead: frozenset[str],
) -> Iterator[Check]:
    """All parameters of two float64 runtimes after the first step.

    Args:
        dead: names of the tensors without a gradient.
    """
    pairing = Pairing(runtime=runtime, against=against, dtype=context.dtype)
    quantity = Quantity.WEIGHTS_AFTER_STEP_1
    yield from _weights(context, pairing, quantity, 1, a, b, dead, FIRST_WEIGHTS)


def later_weights(
    context: Context,
    runtime: str,
    against: str,
    a: Observation,
    b: Observation,
    dead: frozenset[str],
) -> Iterator[Check]:
    """All parameters of two float64 runtimes at every later step after which they were kept.

    Args:
        dead: names of the tensors without a gradient.
    """
    pairing = Pairing(runtime=runtime, against=against, dtype=context.dtype)
    for mark in sorted(b.checkpoints):
        # after 0 steps: as they were loaded, which is judged by itself. Where the whole trajectory
        # is one step, its weights count as the last ones, too
        if mark > 1 or (mark == 1 == context.steps):
            yield from _weights(context, pairing, Quantity.WEIGHTS, mark, a, b, dead, WEIGHTS)


def _weights(
    context: Context,
    pairing: Pairing,
    quantity: Quantity,
    mark: int,
    a: Observation,
    b: Observation,
    dead: frozenset[str],
    tolerance: float,
) -> Iterator[Check]:
    """Live tensors, dead ones and running statistics apart, after ``mark`` steps."""
    given, right = a.checkpoints[mark], b.checkpoints[mark]
    drift = max((absolute(given.get(name), right[name]) for name in dead), default=0.0)
    for name in context.model.parameters:
        x, y = given.get(name), right[name]
        if name in context.running:
            # a mean goes with the dead bias before it, of which it may be a small part
            bias = min(drift, dead_tensors.TOLERANCE)
            room = dead_tensors.TOLERANCE + 4 * bias / scale(y)
            yield pairing.check(Quantity.FINAL_RUNNING_STATISTICS, name, relative(x, y), room, mark)
        elif name in dead:
            yield pairing.check(
                Quantity.DEAD_WEIGHTS, name, absolute(x, y), dead_tensors.TOLERANCE, mark
            )
        else:
            yield pairing.check(quantity, name, absolute(x, y), tolerance, mark)


def between_float32(context: Context, pairing: Pairing, pair: floor.FloatPair) -> Iterator[Check]:
    """Every loss and the last weights of two float32 runtimes within their floors."""
    yield from _losses_within_floors(pairing, pair)
    last = context.plan.checkpoints[-1]
    tensors = [observation.checkpoints[last] for observation in pair.all]
    yield from floor.check_tensors(pairing, Quantity.WEIGHTS, tensors, last)


def _losses_within_floors(pairing: Pairing, pair: floor.FloatPair) -> Iterator[Check]:
    """A floor never falls again: what rounding has moved once stays moved. It ends where a loss is
    not finite.
    """
    a, b, a_wide, b_wide = (observation.losses[""] for observation in pair.all)
    with np.errstate(invalid="ignore"):
        own = np.maximum(np.abs(a - a_wide), np.abs(b - b_wide))
    floors = np.maximum.accumulate(np.maximum(own, floor.LEAST * np.abs(b_wide)))
    for step, (x, y, height) in enumerate(zip(a, b, floors, strict=True)):
        yield from floor.within(
            pairing, Quantity.LOSS_EVERY_STEP, None, _apart(x, y), float(height), step + 1
        )


def losses_without_floor(
    runtime: str, against: str, a: Observation, b: Observation
) -> Iterator[Check]:
    """Every loss of two float32 runtimes of which no float64 losses are known, as in a run."""
    pairing = Pairing(runtime=runtime, against=against, dtype="float32")
    first = abs(float(b.losses[""][0])) if len(b.losses[""]) else 1.0
    for step, (x, y) in enumerate(zip(a.losses[""], b.losses[""], strict=True)):
        worst = abs(float(x) - float(y)) / max(abs(float(y)), 1e-2 * first, 1e-12)
        yield pairing.check(Quantity.LOSS_EVERY_STEP, None, worst, QUICK_LOSS_FLOAT32, step + 1)
