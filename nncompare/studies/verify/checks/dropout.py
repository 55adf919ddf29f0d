"""The framework's own dropout, once: every other check has masks that all runtimes share.

Every value is dropped or scaled as its rate says, and about as many are kept. Float64 and float32
differ in their tolerance only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.studies.verify.checks.check import FORMULA, Check, Pairing
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
"""Of the values, relative to the largest."""
SIGMAS = 5.0
"""How far the share of values that is kept may be off, in standard deviations."""


def by_formula(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """Every dropout layer in training mode, on the input that the runtime gave it."""
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    tolerance = TOLERANCE[context.dtype]
    for name, drawn in context.drawn(observation).items():
        if drawn is None:
            # the layer gave no output of the shape of its input
            yield pairing.check(Quantity.DROPOUT_VALUES, name, np.inf, tolerance)
            continue
        x, y, rate = drawn
        kept = y != 0
        worst = relative(y, np.where(kept, x / (1 - rate), 0.0))
        yield pairing.check(Quantity.DROPOUT_VALUES, name, worst, tolerance)
        # a value that was zero before cannot tell whether it was kept
        visible = x != 0
        count = int(visible.sum())
        if count:
            share = float(kept[visible].mean())
            deviation = float(np.sqrt(rate * (1 - rate) / count))
            yield pairing.check(
                Quantity.DROPOUT_SHARE_KEPT, name, abs(share - (1 - rate)), SIGMAS * deviation
            )
