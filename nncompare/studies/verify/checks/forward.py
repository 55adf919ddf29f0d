"""The forward pass: every layer's output by its formula, in the order of computation.

Float64 and float32 differ in their tolerance only. Sums of batch norm and the condition of a layer
may widen it (``rounding``).
"""

from __future__ import annotations

from collections.abc import Iterator

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Subject

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
"""Relative to the largest value of the output; agreeing implementations reach 3e-15 and 2e-6."""
AFTER_UPDATES = {"float64": 1e-12, "float32": 3e-5}
"""The same at weights that have been trained."""


def by_formula(subject: Subject) -> Iterator[Check]:
    """Every layer at the probe weights, in inference and in training mode."""
    context = subject.context
    seen = subject.seen
    tolerance = TOLERANCE[context.dtype]
    inference = context.run(context.probe, context.x).outputs
    yield from subject.check_each(Quantity.FORWARD, seen.outputs, inference, tolerance)
    training = context.run(context.probe, context.x, step=0).outputs
    quantity = Quantity.FORWARD_TRAINING
    yield from subject.check_each(quantity, seen.training_outputs, training, tolerance)


def after_updates(subject: Subject) -> Iterator[Check]:
    """Every layer once more after the checked updates: the weights that ``params`` shows must be
    all that has changed.
    """
    context = subject.context
    seen = subject.seen
    last = context.plan.update_steps
    expected = context.run(seen.update_weights[last], context.x).outputs
    quantity = Quantity.FORWARD_AFTER_UPDATES
    tolerance = AFTER_UPDATES[context.dtype]
    yield from subject.check_each(quantity, seen.update_outputs, expected, tolerance, last)
