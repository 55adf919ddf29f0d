"""Loading: ``params`` gives the weights that ``load`` was given, bit for bit.

The same in float64 and in float32, and without any allowance for rounding: the probe weights are
float32 numbers, and the initial weights are rounded to the runtime's dtype before they are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nncompare.backends.base import Params
from nncompare.studies.verify.checks.check import ITSELF, Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Subject

TOLERANCE = 0.0


def first_load(subject: Subject) -> Iterator[Check]:
    """The load of the probe weights, the first of a session."""
    yield from _each(subject, subject.seen.loaded, subject.context.probe)


def later_loads(subject: Subject) -> Iterator[Check]:
    """The loads before the checked updates and before the trajectory, over weights that have been
    trained.
    """
    yield from _each(subject, subject.seen.update_weights[0], subject.context.probe)
    yield from _each(subject, subject.seen.checkpoints[0], subject.context.initial)


def _each(subject: Subject, given: Params, loaded: Params) -> Iterator[Check]:
    by_itself = replace(subject, against=ITSELF)
    dtype = subject.context.job.dtype
    # a worker rounds them to its dtype before it loads them
    rounded = {name: value.astype(dtype) for name, value in loaded.items()}
    yield from by_itself.check_each(Quantity.ROUND_TRIP, given, rounded, TOLERANCE)
