"""The gradient at the probe weights.

=========  =====================================================================================
float64    along directions, by differences of the reference loss; and in every entry, between
           runtimes
float32    a runtime's own distance from its float64 gradient, next to that of the others; and
           between runtimes by their floors (``floor``)
rounding   before a kink (ReLU, max pooling) a float32 pass takes the other side here and there,
           and gradients jump; a dead tensor's gradient is nothing but rounding (``dead``)
=========  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.studies.verify.checks import floor
from nncompare.studies.verify.checks.check import DIFFERENCES, ITSELF, Check
from nncompare.studies.verify.checks.distance import absolute, scale, scale_of_all
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Pair, Subject
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

SLOPE = 1e-8
"""Along a direction against differences, relative to the gradient's typical entry; widened by what
the differences say of their own error.
"""
BETWEEN = 1e-10
"""Between runtimes in float64, relative to the largest entry of the tensor (dead tensors: of the
whole gradient).
"""
OWN_FLOAT32 = 1e-3
"""A runtime's float32 gradient against its own in float64, relative; or ``OUTLIER`` times what the
others show.
"""
OUTLIER = 10.0
QUICK_FLOAT32 = 1e-3
"""Between runtimes in float32 where no float64 gradient is known; relative to the largest entry of
the tensor, but to no less than a thousandth of the whole gradient's. Float32 nets with kinks differ
by 2e-5 here, with batch norm by more; a wrong layer by far more, and the full check finds the rest.
"""
KINKED = 0.1
"""Of a float32 gradient before a kink, or of a dead tensor; 3e-2 was seen inside one framework."""


def along_directions(subject: Subject) -> Iterator[Check]:
    """The gradient along directions, against differences of the reference loss; float64 only."""
    judged = replace(subject, against=DIFFERENCES)
    context = subject.context
    given = subject.seen.gradients
    whole = _typical(given.values())
    for label, slope in context.slopes.items():
        own = [given[name] for name in context.directions[label] if name in given]
        # a random direction of length one sees about one typical entry of the gradient
        size = max(_typical(own), 1e-3 * whole) or 1.0
        worst = abs(context.along(given, label) - slope.value) / size
        yield judged.check(Quantity.GRADIENT, label, worst, SLOPE + 10 * slope.error / size)


def between(pair: Pair) -> Iterator[Check]:
    """Two float64 runtimes in every entry."""
    right = pair.other.gradients
    whole = max((scale(value) for value in right.values() if value.size), default=1.0)
    for name in pair.context.trained:
        # what is not given cannot be compared
        worst = np.inf
        if name in right:
            # the rounding of a dead tensor is relative to the gradient that it comes from
            size = whole if name in pair.dead else scale(right[name])
            worst = absolute(pair.seen.gradients.get(name), right[name]) / size
        yield pair.check(Quantity.GRADIENT, name, worst, BETWEEN)


def own_float32(
    context: Context,
    narrow: Mapping[str, Observation],
    wide: Mapping[str, Observation],
    dead: frozenset[str],
) -> Iterator[Check]:
    """How far every runtime's float32 gradient lies from its own in float64, next to the same of
    the others: ``between_float32`` cannot tell an error that a runtime makes in float32 alone,
    since that widens its own floor.

    Args:
        context: of the float32 check.
        narrow, wide: runtime -> what it did in float32 and in float64, the same runtimes.
        dead: names of the tensors without a gradient.
    """
    apart = {
        runtime: _apart_in_float32(context, seen.gradients, wide[runtime].gradients)
        for runtime, seen in narrow.items()
    }
    for runtime, own in apart.items():
        subject = Subject(context=context, runtime=runtime, seen=narrow[runtime], against=ITSELF)
        for name, worst in own.items():
            # rounding moves all of them alike, a mistake moves one
            others = [distances[name] for other, distances in apart.items() if other != runtime]
            # of one that is missing there is nothing to learn for the others
            seen = [distance for distance in others if np.isfinite(distance)]
            tolerance = max(OWN_FLOAT32, OUTLIER * max(seen, default=0.0))
            check = subject.check(Quantity.GRADIENT, name, worst, tolerance)
            yield with_room_for_kinks(context, dead, check)


def between_float32(pair: Pair) -> Iterator[Check]:
    """Two float32 runtimes within their floors."""
    tensors = [observation.gradients for observation in pair.all]
    yield from floor.check_tensors(pair, Quantity.GRADIENT, tensors)


def between_without_floor(pair: Pair) -> Iterator[Check]:
    """Two float32 runtimes of which no float64 gradient is known, as in a run."""
    apart = _apart_in_float32(pair.context, pair.seen.gradients, pair.other.gradients)
    for name, worst in apart.items():
        check = pair.check(Quantity.GRADIENT, name, worst, QUICK_FLOAT32)
        yield with_room_for_kinks(pair.context, pair.dead, check)


def with_room_for_kinks(context: Context, dead: frozenset[str], check: Check) -> Check:
    """The check of a float32 gradient, which, if it failed before a kink or of a dead tensor, has
    room for that.
    """
    loose = check.layer in before_kinks(context) | dead
    return check.with_room(KINKED) if loose else check


def before_kinks(context: Context) -> frozenset[str]:
    """The parameters whose gradient comes through a kink."""
    nodes = list(context.model.walk())
    kinks = [index for index, node in enumerate(nodes) if node.layer.kinked]
    # behind the last kink a gradient has come through none
    last = max(kinks, default=0)
    return frozenset(
        f"{node.name}.{item.name}" for node in nodes[:last] for item in node.parameters
    )


def _apart_in_float32(context: Context, given: Params, right: Params) -> dict[str, float]:
    """Trained tensor -> how far it lies from ``right``, relative to its size there.

    A tensor counts with at least a thousandth of the whole gradient's size: what is smaller may be
    nothing but rounding.
    """
    whole = scale_of_all(right)
    found = {}
    for name in context.trained:
        found[name] = np.inf
        # a gradient that is not given cannot be compared
        if name not in right:
            continue
        own = scale(right[name]) if right[name].any() else 0.0
        found[name] = absolute(given.get(name), right[name]) / max(own, 1e-3 * whole)
    return found


def _typical(arrays: Iterable[Array]) -> float:
    """Root mean square over all entries."""
    squares = 0.0
    entries = 0
    for array in arrays:
        squares += float((array**2).sum())
        entries += array.size
    return float(np.sqrt(squares / entries)) if entries else 0.0
