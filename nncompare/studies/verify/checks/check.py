"""One comparison, and who compares with whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks.quantity import Quantity

FORMULA, DIFFERENCES, ITSELF = "formula", "differences", "itself"
JUDGES = (FORMULA, DIFFERENCES, ITSELF)
"""What a runtime is judged by when it is not judged by another runtime."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison.

    Args:
        runtime: whose computation it is.
        against: one of ``JUDGES``, or another runtime.
        quantity: what is compared.
        layer: node, parameter or direction; None for a loss.
        dtype: ``float64`` or ``float32``.
        worst: the largest difference, infinite where the two cannot be compared.
        tolerance: the largest that passes.
        step: of the training, from 1; None where none is trained.
    """

    runtime: str
    against: str
    quantity: Quantity
    layer: str | None
    dtype: str
    worst: float
    tolerance: float
    step: int | None = None

    @property
    def passed(self) -> bool:
        # written so that NaN does not pass
        return self.worst <= self.tolerance

    @property
    def severity(self) -> float:
        """``worst / tolerance``; larger is worse."""
        if np.isnan(self.worst):
            return np.inf
        if self.tolerance == 0:
            # nothing but equality passes
            return np.inf if self.worst else 0.0
        return self.worst / self.tolerance

    @property
    def between_runtimes(self) -> bool:
        """Whether another runtime is the judge."""
        return self.against not in JUDGES


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Who is judged by whom, in which dtype: what the checks of one comparison have in common."""

    runtime: str
    against: str
    dtype: str

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
            dtype=self.dtype,
            worst=float(worst),
            tolerance=float(tolerance),
            step=step,
        )

    def check_each(
        self,
        quantity: Quantity,
        given: Mapping[str, Array],
        expected: Mapping[str, Array],
        distance: Callable[[Array | None, Array], float],
        tolerance: float,
        step: int | None = None,
    ) -> Iterator[Check]:
        """One check a name, in the order of ``expected``."""
        for name, values in expected.items():
            worst = distance(given.get(name), values)
            yield self.check(quantity, name, worst, tolerance, step)
        # a name that only the runtime knows cannot be compared
        for name in given:
            if name not in expected:
                yield self.check(quantity, name, np.inf, tolerance, step)
