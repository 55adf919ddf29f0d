"""Float32 runtimes against each other, measured by their own rounding: |float32 - float64| within
one framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.studies.verify import gates
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import Check, absolute
from nncompare.wire.observation import Observation

_UNITS_IN_THE_LAST_PLACE = 8 * float(np.finfo(np.float32).eps)
"""Least floor, relative: two roundings can cancel, and then one of the floors is zero by chance."""


def between(
    context: Context,
    runtime: str,
    against: str,
    single: Mapping[str, Observation],
    double: Mapping[str, Observation],
) -> Iterator[Check]:
    """Gradient, losses and final weights of two float32 runtimes within their floors.

    Args:
        context: of the float32 check.
        runtime, against: the two.
        single, double: what each runtime did in float32 and in float64.
    """
    a, b, a64, b64 = single[runtime], single[against], double[runtime], double[against]
    yield from _params(
        runtime, against, "gradient", None, (a.gradients, b.gradients, a64.gradients, b64.gradients)
    )
    yield from _losses(runtime, against, a.losses[""], b.losses[""], a64.losses[""], b64.losses[""])
    last = context.plan.checkpoints[-1]
    groups = tuple(seen.checkpoints[last] for seen in (a, b, a64, b64))
    yield from _params(runtime, against, "weights", last, groups)
    tensors = tuple({"logits": seen.logits[""]} for seen in (a, b, a64, b64))
    yield from _params(runtime, against, "logits", last, tensors)


def _params(
    runtime: str, against: str, quantity: str, step: int | None, groups: tuple[Params, ...]
) -> Iterator[Check]:
    a, b, a64, b64 = groups
    for name in b:
        if any(name not in group for group in groups):
            yield _check(runtime, against, quantity, name, np.inf, 0.0, step)
            continue
        floor = max(absolute(a[name], a64[name]), absolute(b[name], b64[name]))
        least = _UNITS_IN_THE_LAST_PLACE * gates.scale(b64[name])
        yield from _within(
            runtime, against, quantity, name, absolute(a[name], b[name]), max(floor, least), step
        )


def _losses(
    runtime: str, against: str, a: Array, b: Array, a64: Array, b64: Array
) -> Iterator[Check]:
    """A floor never falls again: what rounding has moved once stays moved. It ends where a loss is
    not finite.
    """
    with np.errstate(invalid="ignore"):
        floors = np.maximum(np.abs(a - a64), np.abs(b - b64))
    floors = np.maximum.accumulate(np.maximum(floors, _UNITS_IN_THE_LAST_PLACE * np.abs(b64)))
    for step, (x, y, floor) in enumerate(zip(a, b, floors, strict=True)):
        both = np.isfinite(x) and np.isfinite(y)
        worst = (
            abs(float(x) - float(y))
            if both
            else (0.0 if np.isfinite(x) == np.isfinite(y) else np.inf)
        )
        yield from _within(
            runtime, against, "loss, every step", None, worst, float(floor), step + 1
        )


def _within(
    runtime: str,
    against: str,
    quantity: str,
    layer: str | None,
    worst: float,
    floor: float,
    step: int | None,
) -> Iterator[Check]:
    """The check of a difference by its floor; none where there is no floor and both overflow as
    float64 does not.
    """
    if np.isfinite(floor):
        yield _check(runtime, against, quantity, layer, worst, gates.FLOOR_FACTOR * floor, step)
    elif not np.isfinite(worst):
        yield _check(runtime, against, quantity, layer, np.inf, 0.0, step)


def _check(
    runtime: str,
    against: str,
    quantity: str,
    layer: str | None,
    worst: float,
    gate: float,
    step: int | None,
) -> Check:
    return Check(
        runtime=runtime,
        against=against,
        quantity=quantity,
        layer=layer,
        dtype="float32",
        worst=worst,
        gate=gate,
        step=step,
    )
