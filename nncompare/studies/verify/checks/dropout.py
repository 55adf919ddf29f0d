"""The framework's own dropout, once: every other check has masks that all runtimes share.

Every value is dropped or scaled as its rate says, and about as many are kept. Float64 and float32
differ in their tolerance only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Subject

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
"""Of the values, relative to the largest."""
SIGMAS = 5.0
"""How far the share of values that is kept may be off, in standard deviations."""


def by_formula(subject: Subject) -> Iterator[Check]:
    """Every dropout layer in training mode, on the input that the runtime gave it."""
    tolerance = TOLERANCE[subject.context.dtype]
    for name, drawn in subject.context.drawn(subject.seen).items():
        if drawn is None:
            # the layer gave no output of the shape of its input
            yield subject.check(Quantity.DROPOUT_VALUES, name, np.inf, tolerance)
            continue
        x, y, rate = drawn
        kept = y != 0
        worst = relative(y, np.where(kept, x / (1 - rate), 0.0))
        yield subject.check(Quantity.DROPOUT_VALUES, name, worst, tolerance)
        # a value that was zero before cannot tell whether it was kept
        visible = kept[x != 0]
        if visible.size:
            off = abs(float(visible.mean()) - (1 - rate))
            deviation = float(np.sqrt(rate * (1 - rate) / visible.size))
            yield subject.check(Quantity.DROPOUT_SHARE_KEPT, name, off, SIGMAS * deviation)
