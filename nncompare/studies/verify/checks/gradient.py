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
from nncompare.studies.verify.checks.check import DIFFERENCES, ITSELF, Check, Pairing
from nncompare.studies.verify.checks.distance import absolute, relative, scale
from nncompare.studies.verify.checks.quantity import Quantity
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


def along_directions(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The gradient along directions, against differences of the reference loss; float64 only."""
    pairing = Pairing(runtime=runtime, against=DIFFERENCES, dtype=context.dtype)
    given = observation.gradients
    whole = _typical(given.values())
    for label, slope in context.slopes.items():
        direction = context.directions[label]
        known = [name for name in direction if name in given]
        if len(known) < len(direction):
            # a gradient that was not given has no slope
            along = np.inf
        else:
            along = sum(float((given[name] * direction[name]).sum()) for name in direction)
        # a random direction of length one sees about one typical entry of the gradient
        size = max(_typical(given[name] for name in known), 1e-3 * whole) or 1.0
        tolerance = SLOPE + 10 * slope.error / size
        yield pairing.check(Quantity.GRADIENT, label, abs(along - slope.value) / size, tolerance)


def between(
    context: Context,
    runtime: str,
    against: str,
    a: Observation,
    b: Observation,
    dead: frozenset[str],
) -> Iterator[Check]:
    """Two float64 runtimes in every entry.

    Args:
        dead: names of the tensors without a gradient.
    """
    pairing = Pairing(runtime=runtime, against=against, dtype=context.dtype)
    largest = max((scale(value) for value in b.gradients.values() if value.size), default=1.0)
    for name in context.trained:
        right = b.gradients.get(name)
        if right is None:
            worst = np.inf
        else:
            # the rounding of a dead tensor is relative to the gradient that it comes from
            size = largest if name in dead else scale(right)
            worst = absolute(a.gradients.get(name), right) / size
        yield pairing.check(Quantity.GRADIENT, name, worst, BETWEEN)


def own_float32(
    context: Context, narrow: Mapping[str, Observation], wide: Mapping[str, Observation]
) -> Iterator[Check]:
    """How far every runtime's float32 gradient lies from its own in float64, next to the same of
    the others: ``between_float32`` cannot tell an error that a runtime makes in float32 alone,
    since that widens its own floor.

    Args:
        context: of the float32 check.
        narrow, wide: runtime -> what it did in float32 and in float64.
    """
    names = [runtime for runtime in narrow if runtime in wide]
    apart = {
        runtime: _from_float64(context, narrow[runtime].gradients, wide[runtime].gradients)
        for runtime in names
    }
    for runtime in names:
        pairing = Pairing(runtime=runtime, against=ITSELF, dtype="float32")
        for name in context.trained:
            others = [apart[other][name] for other in names if other != runtime]
            tolerance = max(OWN_FLOAT32, OUTLIER * max(others, default=0.0))
            yield pairing.check(Quantity.GRADIENT, name, apart[runtime][name], tolerance)


def between_float32(pairing: Pairing, pair: floor.FloatPair) -> Iterator[Check]:
    """Two float32 runtimes within their floors."""
    tensors = [observation.gradients for observation in pair.all]
    yield from floor.check_tensors(pairing, Quantity.GRADIENT, tensors)


def between_without_floor(
    context: Context, runtime: str, against: str, a: Observation, b: Observation
) -> Iterator[Check]:
    """Two float32 runtimes of which no float64 gradient is known, as in a run."""
    pairing = Pairing(runtime=runtime, against=against, dtype="float32")
    largest = max((scale(value) for value in b.gradients.values() if value.any()), default=1.0)
    for name in context.trained:
        right = b.gradients[name]
        size = max(scale(right) if right.any() else 0.0, 1e-3 * largest)
        worst = absolute(a.gradients.get(name), right) / size
        yield pairing.check(Quantity.GRADIENT, name, worst, QUICK_FLOAT32)


def room_for_kinks(
    context: Context, dead: frozenset[str], checks: Iterable[Check]
) -> Iterator[Check]:
    """The checks of float32 gradients, in which failed ones before a kink, or of dead tensors, have
    room for it.
    """
    loose = before_kinks(context) | dead
    for check in checks:
        if check.quantity == Quantity.GRADIENT and check.layer in loose and not check.passed:
            yield replace(check, tolerance=max(check.tolerance, KINKED))
        else:
            yield check


def before_kinks(context: Context) -> frozenset[str]:
    """The parameters whose gradient comes through a kink."""
    nodes = list(context.model.walk())
    kinks = [index for index, node in enumerate(nodes) if node.layer.kinked]
    last = max(kinks, default=0)
    return frozenset(
        f"{node.name}.{item.name}" for node in nodes[:last] for item in node.parameters
    )


def _from_float64(context: Context, narrow: Params, wide: Params) -> dict[str, float]:
    """Trained tensor -> its distance from float64; a tensor counts with at least a thousandth of
    the whole gradient's size.
    """
    largest = max((scale(value) for value in wide.values() if value.any()), default=1.0)
    found = {}
    for name in context.trained:
        own = scale(wide[name]) if wide[name].any() else 0.0
        size = max(own, 1e-3 * largest)
        found[name] = relative(narrow.get(name), wide[name]) * scale(wide[name]) / size
    return found


def _typical(arrays: Iterable[Array]) -> float:
    """Root mean square over all entries."""
    squares = 0.0
    entries = 0
    for array in arrays:
        squares += float((array**2).sum())
        entries += array.size
    return float(np.sqrt(squares / entries)) if entries else 0.0
