"""Which checks are made of what the runtimes did, in the order of cause and effect: the first one
that fails says where to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations

from nncompare.studies.verify.checks import (
    dead,
    dropout,
    evaluation,
    forward,
    gradient,
    loading,
    long_pieces,
    loss,
    rounding,
    running,
    trajectory,
    update,
)
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.subject import Pair, Subject
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

_OfOne = Callable[[Subject], Iterator[Check]]
_OfTwo = Callable[[Pair], Iterator[Check]]

_AT_PROBE: tuple[_OfOne, ...] = (loading.first_load, forward.by_formula, loss.at_probe)
"""Loading, every layer and the loss at the probe weights."""
_IN_FLOAT64: tuple[_OfOne, ...] = (
    *_AT_PROBE,
    gradient.along_directions,
    loss.of_updates,
    update.by_formula,
    forward.after_updates,
    running.by_formula,
    loading.later_loads,
    update.after_load,
    trajectory.losses_by_formula,
    evaluation.by_formula,
    long_pieces.by_itself,
    dropout.by_formula,
)
"""Everything that one runtime did, in the order of cause and effect."""
_IN_FLOAT32: tuple[_OfOne, ...] = (
    *_AT_PROBE,
    running.by_formula,
    forward.after_updates,
    trajectory.losses_by_formula,
    evaluation.by_formula,
    loading.later_loads,
    dropout.by_formula,
    update.by_formula_float32,
)
"""What has a fixed tolerance in float32; it tells errors that a runtime makes in float32 alone,
which the floor between runtimes cannot: they widen their own floor.
"""
_BETWEEN: tuple[_OfTwo, ...] = (
    gradient.between,
    trajectory.weights_after_first_step,
    trajectory.losses_between,
    trajectory.later_weights,
    evaluation.between,
)
_BETWEEN_FLOAT32: tuple[_OfTwo, ...] = (
    gradient.between_float32,
    trajectory.between_float32,
    evaluation.between_float32,
)
_SHORT: dict[str, tuple[_OfTwo, ...]] = {
    "float64": (gradient.between, trajectory.losses_between, trajectory.later_weights),
    # no float64 of the same runtime tells the floor: fixed tolerances, wide enough for it
    "float32": (gradient.between_without_floor, trajectory.losses_without_floor),
}


def by_formula(context: Context, runtime: str, observation: Observation) -> list[Check]:
    """Everything that one runtime did, by the formulas, in its dtype."""
    makers = _IN_FLOAT32 if context.dtype == "float32" else _IN_FLOAT64
    return _of_one(makers, context, runtime, observation)


def between(
    context: Context, observations: Mapping[str, Observation]
) -> tuple[list[Check], frozenset[str]]:
    """Every pair of float64 runtimes, in the order of ``observations``; and the names of the
    tensors without a gradient.
    """
    without = dead.dead_in_most(context, observations)
    return list(_of_pairs(_BETWEEN, context, observations, without)), without


def between_float32(
    context: Context, narrow: Mapping[str, Observation], wide: Mapping[str, Observation]
) -> list[Check]:
    """Every pair of float32 runtimes that were observed in float64, too.

    Args:
        context: of the float32 check.
        narrow, wide: runtime -> what it did in float32 and in float64.
    """
    without = dead.dead_in_most(context, wide)
    # a runtime that failed in float64 has no floor
    both = {runtime: seen for runtime, seen in narrow.items() if runtime in wide}
    own = gradient.own_float32(context, both, wide, without)
    return [*own, *_of_pairs(_BETWEEN_FLOAT32, context, both, without, wide)]


def short_form(context: Context, observations: Mapping[str, Observation]) -> Iterator[Check]:
    """What a run's own workers saw after their training, in the run's dtype: forward pass and loss
    by the formulas, then gradients and the first steps between runtimes.
    """
    gradients = [observation.gradients for observation in observations.values()]
    without = dead.dead_tensors(context, gradients, dead.SHARE[context.dtype])
    for runtime, observation in observations.items():
        yield from _of_one(_AT_PROBE, context, runtime, observation)
    yield from _of_pairs(_SHORT[context.dtype], context, observations, without)


def _of_one(
    makers: Iterable[_OfOne], context: Context, runtime: str, observation: Observation
) -> list[Check]:
    """The checks of one runtime by the formulas, with room for rounding."""
    subject = Subject(context=context, runtime=runtime, seen=observation)
    checks = [check for make in makers for check in make(subject)]
    return rounding.room_by_formula(context, observation, checks)


def _of_pairs(
    makers: Iterable[_OfTwo],
    context: Context,
    observations: Mapping[str, Observation],
    without: frozenset[str],
    wide: Mapping[str, Observation] | None = None,
) -> Iterator[Check]:
    """The checks of every pair; ``wide``: what float32 runtimes did in float64."""
    for against, runtime in combinations(observations, 2):
        pair = Pair(
            context=context,
            runtime=runtime,
            against=against,
            seen=observations[runtime],
            other=observations[against],
            dead=without,
            wide=(wide[runtime], wide[against]) if wide else (),
        )
        for make in makers:
            yield from make(pair)


def summarize(checks: Iterable[Check]) -> list[Check]:
    """One check for every (runtime, against, quantity, dtype): the first that failed, else the
    closest to its tolerance.
    """
    groups: dict[tuple[str, str, str, str], Check] = {}
    for check in checks:
        key = (check.runtime, check.against, check.quantity, check.dtype)
        best = groups.setdefault(key, check)
        # what failed first stays, however far off a later one is
        if best.passed and (not check.passed or check.severity > best.severity):
            groups[key] = check
    return list(groups.values())
