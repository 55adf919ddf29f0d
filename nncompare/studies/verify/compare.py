"""All runtimes of one dtype against the formulas and against each other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from nncompare.studies.verify import floor
from nncompare.studies.verify.context import Context, dead_tensors
from nncompare.studies.verify.gates import DEAD_SHARE, Check
from nncompare.studies.verify.judge import Judge
from nncompare.worker.observation import Observation


def compare(context: Context, seen: Mapping[str, Observation]) -> tuple[list[Check], frozenset[str]]:
    """Every pair in float64, in the order of ``seen``; and the tensors without a gradient, told from all of them."""
    gradients = [g for one in seen.values() for g in (one.gradients, *one.update_gradients.values())]
    dead = dead_tensors(context, gradients, DEAD_SHARE) if seen else frozenset()
    judge = Judge(context, dead)
    checks: list[Check] = []
    for against, runtime in combinations(seen, 2):
        checks += judge.between(runtime, against, seen[runtime], seen[against])
    return checks, dead


def compare_float32(
    context: Context, single: Mapping[str, Observation], double: Mapping[str, Observation]
) -> list[Check]:
    """Every pair in float32 that was observed in float64, too."""
    both = [runtime for runtime in single if runtime in double]
    checks: list[Check] = []
    for against, runtime in combinations(both, 2):
        checks += floor.between(context, runtime, against, single, double)
    return checks


def judge_all(context: Context, seen: Mapping[str, Observation]) -> tuple[list[Check], frozenset[str]]:
    """Every runtime by the formulas, then ``compare``."""
    judge = Judge(context)
    checks = [check for runtime, one in seen.items() for check in judge.by_formula(runtime, one)]
    between, dead = compare(context, seen)
    return checks + between, dead


def judge_float32(
    context: Context, single: Mapping[str, Observation], double: Mapping[str, Observation]
) -> list[Check]:
    """The same for float32."""
    judge = Judge(context)
    checks = [check for runtime, one in single.items() for check in judge.by_formula(runtime, one)]
    return checks + compare_float32(context, single, double)
