"""All runtimes of one dtype against the formulas and against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations

from nncompare.studies.verify import floor, rounding, single
from nncompare.studies.verify.context import Context, dead_tensors
from nncompare.studies.verify.gates import DEAD_SHARE, Check
from nncompare.studies.verify.judge import Judge
from nncompare.wire.observation import Observation


def compare(
    context: Context, seen: Mapping[str, Observation]
) -> tuple[list[Check], frozenset[str]]:
    """Every pair in float64, in the order of ``seen``; and the tensors without a gradient."""
    dead = dead_in_most(context, seen)
    judge = Judge(context, dead)
    checks: list[Check] = []
    for against, runtime in combinations(seen, 2):
        checks += judge.between(runtime, against, seen[runtime], seen[against])
    return checks, dead


def dead_in_most(context: Context, seen: Mapping[str, Observation]) -> frozenset[str]:
    """The tensors without a gradient, by the word of most runtimes: one that is wrong must not
    shake the others.
    """
    found = [
        dead_tensors(context, [one.gradients, *one.update_gradients.values()], DEAD_SHARE)
        for one in seen.values()
    ]
    votes = Counter(name for names in found for name in names)
    return frozenset(name for name, count in votes.items() if 2 * count > len(found))


def compare_float32(
    context: Context, narrow: Mapping[str, Observation], wide: Mapping[str, Observation]
) -> list[Check]:
    """Every pair in float32 that was observed in float64, too."""
    both = [runtime for runtime in narrow if runtime in wide]
    dead = dead_in_most(context, wide)
    checks = list(
        rounding.room_for_kinks(context, dead, list(single.gradients(context, narrow, wide)))
    )
    for against, runtime in combinations(both, 2):
        checks += floor.between(context, runtime, against, narrow, wide)
    return checks


def by_formula(context: Context, runtime: str, seen: Observation) -> list[Check]:
    """One runtime by the formulas, in its dtype."""
    if context.dtype == "float32":
        checks = list(single.by_formula(context, runtime, seen))
    else:
        checks = list(Judge(context).by_formula(runtime, seen))
    return rounding.room_by_formula(context, seen, checks)
