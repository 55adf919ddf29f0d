"""Running statistics of batch norm: one step by their formula, at every checked update.

Float64 and float32 differ in their tolerance only. The mean and the variance of a batch are sums of
many values, whose rounding may widen it (``rounding``).
"""

from __future__ import annotations

from collections.abc import Iterator

from nncompare.studies.verify.checks.check import FORMULA, Check, Pairing
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
"""Relative."""


def by_formula(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """Running statistics after every checked update, from the runtime's own weights before it."""
    if not context.running:
        return
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    for step in range(context.plan.update_steps):
        expected = context.new_running(observation.update_weights[step], step)
        after = observation.update_weights[step + 1]
        given = {name: value for name, value in after.items() if name in expected}
        yield from pairing.check_each(
            Quantity.RUNNING_STATISTICS,
            given,
            expected,
            relative,
            TOLERANCE[context.dtype],
            step=step + 1,
        )
