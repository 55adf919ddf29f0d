"""Running statistics of batch norm: one step by their formula, at every checked update.

Float64 and float32 differ in their tolerance only. The mean and the variance of a batch are sums of
many values, whose rounding may widen it (``rounding``).
"""

from __future__ import annotations

from collections.abc import Iterator

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Subject

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
"""Relative."""


def by_formula(subject: Subject) -> Iterator[Check]:
    """Running statistics after every checked update, from the runtime's own weights before it."""
    context = subject.context
    weights = subject.seen.update_weights
    # of a model without batch norm nothing runs, and the formulas need not be evaluated
    steps = context.plan.update_steps if context.running else 0
    tolerance = TOLERANCE[context.dtype]
    for step in range(steps):
        expected = context.new_running(weights[step], step)
        # the weights are shown together with the statistics
        given = {name: value for name, value in weights[step + 1].items() if name in expected}
        quantity = Quantity.RUNNING_STATISTICS
        yield from subject.check_each(quantity, given, expected, tolerance, step + 1)
