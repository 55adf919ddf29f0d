"""Dead tensors: trained parameters whose gradient is mathematically zero, such as a bias before
batch norm or the key bias of attention.

What a framework computes for them is nothing but rounding, which an optimizer that divides by the
gradient's size blows up. They are judged apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from nncompare.backends.base import Params
from nncompare.studies.verify.checks.distance import largest, size
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

SHARE = {"float64": 1e-10, "float32": 1e-5}
"""A tensor whose gradient is smaller than this share of the largest is dead."""
TOLERANCE = 1e-7
"""Of dead tensors, absolute; of running statistics and logits of models with dead tensors,
relative.
"""


def dead_tensors(context: Context, gradients: list[Params], share: float) -> frozenset[str]:
    """Trained parameters whose entries are below ``share`` of the gradient's largest entry in all
    of ``gradients``.
    """
    alive: set[str] = set()
    for gradient in gradients:
        least = share * largest(gradient)
        alive |= {name for name, value in gradient.items() if size(value) > least}
    return frozenset(context.trained) - alive


def dead_in_most(context: Context, observations: Mapping[str, Observation]) -> frozenset[str]:
    """The dead tensors by the word of most runtimes: one that is wrong must not shake the others.

    Args:
        observations: runtime -> what it did in float64.
    """
    votes: Counter[str] = Counter()
    for one in observations.values():
        gradients = [one.gradients, *one.update_gradients.values()]
        votes.update(dead_tensors(context, gradients, SHARE["float64"]))
    return frozenset(name for name, count in votes.items() if 2 * count > len(observations))
