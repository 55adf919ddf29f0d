"""Who is judged: one runtime, or two by each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks.check import FORMULA, Check
from nncompare.studies.verify.checks.distance import absolute, relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One runtime, and what it is judged by.

    Args:
        context: the formulas, in the runtime's dtype.
        runtime: whose computation it is.
        seen: what the runtime did.
        against: one of ``JUDGES``, or another runtime.
    """

    context: Context
    runtime: str
    seen: Observation
    against: str = FORMULA

    def check(
        self,
        quantity: Quantity,
        layer: str | None,
        worst: float,
        tolerance: float,
        step: int | None = None,
    ) -> Check:
        """One check; the arguments are those of ``Check``."""
        return Check(
            runtime=self.runtime,
            against=self.against,
            quantity=quantity,
            layer=layer,
            dtype=self.context.dtype,
            worst=float(worst),
            tolerance=float(tolerance),
            step=step,
        )

    def check_each(
        self,
        quantity: Quantity,
        given: Mapping[str, Array],
        expected: Mapping[str, Array],
        tolerance: float,
        step: int | None = None,
    ) -> Iterator[Check]:
        """One check a name, in the order of ``expected``, in the unit of the quantity."""
        distance = absolute if quantity.unit == "absolute" else relative
        for name, values in expected.items():
            # one that is missing is infinitely far away
            worst = distance(given.get(name), values)
            yield self.check(quantity, name, worst, tolerance, step)
        # a name that only the runtime knows cannot be compared
        for name in given:
            if name not in expected:
                yield self.check(quantity, name, np.inf, tolerance, step)


@dataclass(frozen=True, kw_only=True)
class Pair(Subject):
    """A runtime, judged by the runtime ``against``.

    Args:
        other: what the runtime ``against`` did.
        dead: names of the tensors without a gradient.
        wide: of two float32 runtimes, what both did in float64, if that is known.
    """

    other: Observation
    dead: frozenset[str]
    wide: tuple[Observation, ...] = ()

    @property
    def all(self) -> tuple[Observation, ...]:
        """Both float32 observations, then both float64 ones."""
        return self.seen, self.other, *self.wide
