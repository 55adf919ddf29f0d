"""The floor of a float32 comparison: what rounding does inside one framework.

Nets with kinks amplify one unit in the last place without bound, so that no fixed tolerance means
anything for two float32 runtimes. Each of them was observed in float64, too; how far its float32
lies from that is its own rounding, and the larger of both is the floor of their comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nncompare.backends.base import Params
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import absolute, scale
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Pair

FACTOR = 3.0
"""Float32 runtimes may lie apart by so many times the floor."""
LEAST = 8 * float(np.finfo(np.float32).eps)
"""Least floor, relative: two roundings can cancel, and then one of the distances is zero by chance.
"""


def check_tensors(
    pair: Pair, quantity: Quantity, tensors: Sequence[Params], step: int | None = None
) -> Iterator[Check]:
    """One check a tensor.

    Args:
        tensors: of both runtimes in float32, then of both in float64.
    """
    for name in tensors[1]:
        if any(name not in group for group in tensors):
            yield pair.check(quantity, name, np.inf, 0.0, step)
            continue
        x, y, x_wide, y_wide = (group[name] for group in tensors)
        own = max(absolute(x, x_wide), absolute(y, y_wide))
        floor = max(own, LEAST * scale(y_wide))
        yield from within(pair, quantity, name, absolute(x, y), floor, step)


def within(
    pair: Pair,
    quantity: Quantity,
    layer: str | None,
    apart: float,
    floor: float,
    step: int | None,
) -> Iterator[Check]:
    """The check of a difference by its floor."""
    if np.isfinite(floor):
        yield pair.check(quantity, layer, apart, FACTOR * floor, step)
    elif not np.isfinite(apart):
        # float32 overflows where float64 does not, and only one of the runtimes does so
        yield pair.check(quantity, layer, np.inf, 0.0, step)
    # else both overflow in the same places as float64 does not: nothing can be said
