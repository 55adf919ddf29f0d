"""The floor of a float32 comparison: what rounding does inside one framework.

Nets with kinks amplify one unit in the last place without bound, so that no fixed tolerance means
anything for two float32 runtimes. Each of them was observed in float64, too; how far its float32
lies from that is its own rounding, and the larger of both is the floor of their comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Params
from nncompare.studies.verify.checks.check import Check, Pairing
from nncompare.studies.verify.checks.distance import absolute, scale
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.wire.observation import Observation

FACTOR = 3.0
"""Float32 runtimes may lie apart by so many times the floor."""
LEAST = 8 * float(np.finfo(np.float32).eps)
"""Least floor, relative: two roundings can cancel, and then one of the distances is zero by chance.
"""


@dataclass(frozen=True, kw_only=True)
class FloatPair:
    """Two runtimes, each as it was observed in float32 and in float64."""

    first: Observation
    second: Observation
    first_wide: Observation
    second_wide: Observation

    @property
    def all(self) -> tuple[Observation, Observation, Observation, Observation]:
        """Both float32 observations, then both float64 ones."""
        return self.first, self.second, self.first_wide, self.second_wide


def check_tensors(
    pairing: Pairing, quantity: Quantity, tensors: Sequence[Params], step: int | None = None
) -> Iterator[Check]:
    """One check a tensor.

    Args:
        tensors: of both runtimes in float32, then of both in float64.
    """
    a, b, a_wide, b_wide = tensors
    for name in b:
        if any(name not in group for group in tensors):
            yield pairing.check(quantity, name, np.inf, 0.0, step)
            continue
        own = max(absolute(a[name], a_wide[name]), absolute(b[name], b_wide[name]))
        floor = max(own, LEAST * scale(b_wide[name]))
        yield from within(pairing, quantity, name, absolute(a[name], b[name]), floor, step)


def within(
    pairing: Pairing,
    quantity: Quantity,
    layer: str | None,
    apart: float,
    floor: float,
    step: int | None,
) -> Iterator[Check]:
    """The check of a difference by its floor."""
    if np.isfinite(floor):
        yield pairing.check(quantity, layer, apart, FACTOR * floor, step)
    elif not np.isfinite(apart):
        # float32 overflows where float64 does not, and only one of the runtimes does so
        yield pairing.check(quantity, layer, np.inf, 0.0, step)
    # else both overflow in the same places as float64 does not: nothing can be said
