"""Which checks are made of what the runtimes did, in the order of cause and effect: the first one
that fails says where to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from nncompare.studies.verify.checks import (
    dead,
    dropout,
    evaluation,
    floor,
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
from nncompare.studies.verify.checks.check import Check, Pairing
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation


def by_formula(context: Context, runtime: str, observation: Observation) -> list[Check]:
    """Everything that one runtime did, by the formulas, in its dtype."""
    if context.dtype == "float32":
        checks = list(_in_float32(context, runtime, observation))
    else:
        checks = list(_in_float64(context, runtime, observation))
    return rounding.room_by_formula(context, observation, checks)


def _in_float64(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    yield from _at_probe(context, runtime, observation)
    yield from gradient.along_directions(context, runtime, observation)
    yield from loss.of_updates(context, runtime, observation)
    yield from update.by_formula(context, runtime, observation)
    yield from forward.after_updates(context, runtime, observation)
    yield from running.by_formula(context, runtime, observation)
    yield from loading.later_loads(context, runtime, observation)
    yield from update.after_load(context, runtime, observation)
    yield from trajectory.losses_by_formula(context, runtime, observation)
    yield from evaluation.by_formula(context, runtime, observation)
    yield from long_pieces.by_itself(context, runtime, observation)
    yield from dropout.by_formula(context, runtime, observation)


def _in_float32(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """What has a fixed tolerance in float32; it tells errors that a runtime makes in float32 alone,
    which the floor between runtimes cannot: they widen their own floor.
    """
    yield from _at_probe(context, runtime, observation)
    yield from running.by_formula(context, runtime, observation)
    yield from forward.after_updates(context, runtime, observation)
    yield from trajectory.losses_by_formula(context, runtime, observation)
    yield from evaluation.by_formula(context, runtime, observation)
    yield from loading.later_loads(context, runtime, observation)
    yield from dropout.by_formula(context, runtime, observation)
    yield from update.by_formula_float32(context, runtime, observation)


def _at_probe(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """Loading, every layer and the loss at the probe weights."""
    yield from loading.first_load(context, runtime, observation)
    yield from forward.by_formula(context, runtime, observation)
    yield from loss.at_probe(context, runtime, observation)


def of_quantity(
    context: Context, runtime: str, observation: Observation, quantity: Quantity
) -> list[Check]:
    """The float64 checks of one quantity by the formulas, without the cost of the others."""
    made = _MAKERS.get(quantity, ())
    checks = [check for make in made for check in make(context, runtime, observation)]
    mine = [check for check in checks if check.quantity == quantity]
    return rounding.room_by_formula(context, observation, mine)


_MAKERS = {
    Quantity.ROUND_TRIP: (loading.first_load, loading.later_loads),
    Quantity.FORWARD: (forward.by_formula,),
    Quantity.FORWARD_TRAINING: (forward.by_formula,),
    Quantity.LOSS: (loss.at_probe, loss.of_updates),
    Quantity.GRADIENT: (gradient.along_directions,),
    Quantity.UPDATE: (update.by_formula,),
    Quantity.FORWARD_AFTER_UPDATES: (forward.after_updates,),
    Quantity.RUNNING_STATISTICS: (running.by_formula,),
    Quantity.UPDATE_AFTER_LOAD: (update.after_load,),
    Quantity.LOSS_EVERY_STEP: (trajectory.losses_by_formula,),
    Quantity.LOGITS: (evaluation.by_formula,),
}
"""Quantity -> what makes its checks, where semantics may change them."""


def between(
    context: Context, observations: Mapping[str, Observation]
) -> tuple[list[Check], frozenset[str]]:
    """Every pair of float64 runtimes, in the order of ``observations``; and the names of the
    tensors without a gradient.
    """
    without = dead.dead_in_most(context, observations)
    checks: list[Check] = []
    for against, runtime in combinations(observations, 2):
        a, b = observations[runtime], observations[against]
        checks += gradient.between(context, runtime, against, a, b, without)
        checks += trajectory.weights_after_first_step(context, runtime, against, a, b, without)
        checks += trajectory.losses_between(context, runtime, against, a, b)
        checks += trajectory.later_weights(context, runtime, against, a, b, without)
        checks += evaluation.between(context, runtime, against, a, b, without)
    return checks, without


def between_float32(
    context: Context, narrow: Mapping[str, Observation], wide: Mapping[str, Observation]
) -> list[Check]:
    """Every pair of float32 runtimes that were observed in float64, too.

    Args:
        context: of the float32 check.
        narrow, wide: runtime -> what it did in float32 and in float64.
    """
    without = dead.dead_in_most(context, wide)
    own = gradient.own_float32(context, narrow, wide)
    checks = list(gradient.room_for_kinks(context, without, own))
    both = [runtime for runtime in narrow if runtime in wide]
    for against, runtime in combinations(both, 2):
        pairing = Pairing(runtime=runtime, against=against, dtype="float32")
        pair = floor.FloatPair(
            first=narrow[runtime],
            second=narrow[against],
            first_wide=wide[runtime],
            second_wide=wide[against],
        )
        checks += gradient.between_float32(pairing, pair)
        checks += trajectory.between_float32(context, pairing, pair)
        checks += evaluation.between_float32(context, pairing, pair)
    return checks


def short_form(context: Context, observations: Mapping[str, Observation]) -> Iterator[Check]:
    """What a run's own workers saw after their training, in the run's dtype: forward pass and loss
    by the formulas, then gradients and the first steps between runtimes.
    """
    gradients = [observation.gradients for observation in observations.values()]
    without = dead.dead_tensors(context, gradients, dead.SHARE[context.dtype])
    for runtime, observation in observations.items():
        checks = list(_at_probe(context, runtime, observation))
        yield from rounding.room_by_formula(context, observation, checks)
    for against, runtime in combinations(observations, 2):
        a, b = observations[runtime], observations[against]
        if context.dtype == "float64":
            yield from gradient.between(context, runtime, against, a, b, without)
            yield from trajectory.losses_between(context, runtime, against, a, b)
            yield from trajectory.later_weights(context, runtime, against, a, b, without)
        else:
            # no float64 of the same runtime tells the floor: fixed tolerances, wide enough for it
            own = gradient.between_without_floor(context, runtime, against, a, b)
            yield from gradient.room_for_kinks(context, without, own)
            yield from trajectory.losses_without_floor(runtime, against, a, b)


def summarize(checks: Iterable[Check]) -> list[Check]:
    """One check for every (runtime, against, quantity, dtype): the first that failed, else the
    closest to its tolerance.
    """
    groups: dict[tuple[str, str, str, str], Check] = {}
    for check in checks:
        key = (check.runtime, check.against, check.quantity, check.dtype)
        best = groups.get(key)
        if best is None or (best.passed and (not check.passed or check.severity > best.severity)):
            groups[key] = check
    return list(groups.values())
