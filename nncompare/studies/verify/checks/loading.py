"""Loading: ``params`` gives the weights that ``load`` was given, bit for bit.

The same in float64 and in float32, and without any allowance for rounding: the probe weights are
float32 numbers, and the initial weights are rounded to the runtime's dtype before they are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

from nncompare.backends.base import Params
from nncompare.studies.verify.checks.check import ITSELF, Check, Pairing
from nncompare.studies.verify.checks.distance import absolute
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

TOLERANCE = 0.0


def first_load(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The load of the probe weights, the first of a session."""
    yield from _each(context, runtime, observation.loaded, context.probe)


def later_loads(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The loads before the checked updates and before the trajectory, over weights that have been
    trained.
    """
    yield from _each(context, runtime, observation.update_weights[0], context.probe)
    yield from _each(context, runtime, observation.checkpoints[0], context.initial)


def _each(context: Context, runtime: str, given: Params, loaded: Params) -> Iterator[Check]:
    pairing = Pairing(runtime=runtime, against=ITSELF, dtype=context.dtype)
    rounded = {name: value.astype(context.job.dtype) for name, value in loaded.items()}
    yield from pairing.check_each(Quantity.ROUND_TRIP, given, rounded, absolute, TOLERANCE)
