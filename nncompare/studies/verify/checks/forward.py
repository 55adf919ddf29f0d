"""The forward pass: every layer's output by its formula, in the order of computation.

Float64 and float32 differ in their tolerance only. Sums of batch norm and the condition of a layer
may widen it (``rounding``).
"""

from __future__ import annotations

from collections.abc import Iterator

from nncompare.studies.verify.checks.check import FORMULA, Check, Pairing
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
"""Relative to the largest value of the output; agreeing implementations reach 3e-15 and 2e-6."""
AFTER_UPDATES = {"float64": 1e-12, "float32": 3e-5}
"""The same at weights that have been trained."""


def by_formula(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """Every layer at the probe weights, in inference and in training mode."""
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    tolerance = TOLERANCE[context.dtype]
    inference = context.outputs(training=False)
    yield from pairing.check_each(
        Quantity.FORWARD, observation.outputs, inference, relative, tolerance
    )
    training = context.outputs(training=True)
    yield from pairing.check_each(
        Quantity.FORWARD_TRAINING, observation.training_outputs, training, relative, tolerance
    )


def after_updates(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """Every layer once more after the checked updates: the weights that ``params`` shows must be
    all that has changed.
    """
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    last = context.plan.update_steps
    expected = context.later_outputs(observation.update_weights[last])
    yield from pairing.check_each(
        Quantity.FORWARD_AFTER_UPDATES,
        observation.update_outputs,
        expected,
        relative,
        AFTER_UPDATES[context.dtype],
        step=last,
    )
