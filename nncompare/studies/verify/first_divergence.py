"""Runtimes that part from each other although each stands before the formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation


def first_divergence(
    context: Context, seen: Mapping[str, Observation], failed: Sequence[Check]
) -> tuple[Check, str] | None:
    """The check where it begins, in the name of the runtime at fault, and words for it; None if
    nothing failed.

    Of three runtimes or more the odd one out is at fault; of two, which one it is cannot be known.

    Args:
        failed: checks between runtimes, of one dtype.
    """
    if not failed:
        return None
    # how many runtimes it parts from counts more than in how many places
    others = {
        one: len({c.runtime if c.against == one else c.against for c in failed if _has(c, one)})
        for one in seen
    }
    places = {one: sum(_has(c, one) for c in failed) for one in seen}
    odd = max(seen, key=lambda one: (others[one], places[one]))
    mine = [check for check in failed if _has(check, odd)]
    first = min(mine, key=lambda check: (check.step or 0, -check.severity))
    other = first.against if first.runtime == odd else first.runtime
    words = (
        f"parts from {other}"
        if len(seen) > 2
        else f"{odd} and {other} part; which of them is wrong is not known"
    )
    if first.step is not None:
        words += f" at step {first.step}{_place_in_epoch(context, first.step)}"
        if first.layer is None and first.step > 1:
            rate = float(context.plan.trajectory.learning_rate[first.step - 2])
            words += (
                f"; the update before it is that of step {first.step - 1}, with learning rate"
                f" {rate:.6g}"
            )
    layer = first.layer
    if layer is None and first.step is not None:
        tensor = _first_tensor(mine, first.step)
        if tensor is not None:
            layer = tensor.layer
            words += f"; of the weights that were kept, first in those after step {tensor.step}"
            words += _rows(seen, odd, other, tensor)
    elif layer is not None:
        words += _rows(seen, odd, other, first)
    return replace(first, runtime=odd, against=other, layer=layer), words


def _has(check: Check, runtime: str) -> bool:
    return runtime in (check.runtime, check.against)


def _first_tensor(failed: Sequence[Check], step: int) -> Check | None:
    """The tensor that is farthest off at the first checkpoint that is off, not before the
    loss was.
    """
    tensors = [
        c for c in failed if c.layer is not None and c.step is not None and c.step >= step - 1
    ]
    return min(tensors, key=lambda check: (check.step or 0, -check.severity), default=None)


def _rows(seen: Mapping[str, Observation], odd: str, other: str, check: Check) -> str:
    """Which rows of a tensor are off, where these are few: those of one token, of one gate."""
    if check.step is None or check.layer is None or check.step not in seen[odd].checkpoints:
        return ""
    a, b = (seen[one].checkpoints[check.step].get(check.layer) for one in (odd, other))
    if a is None or b is None or a.shape != b.shape or not a.ndim:
        return ""
    off = np.abs(np.asarray(a, np.float64) - b) > 1e-3 * check.worst
    where = np.flatnonzero(off.any(axis=tuple(range(1, a.ndim))))
    if not 0 < len(where) <= min(6, len(a) // 2):
        return ""
    return f", in row {', '.join(str(row + 1) for row in where)} of {len(a)} alone"


def _place_in_epoch(context: Context, step: int) -> str:
    plan = context.plan.trajectory
    if step % plan.steps_per_epoch == 0 and plan.examples % plan.batch_size:
        return ", the smaller last batch of an epoch: left out, or weighed as a full one?"
    if step % plan.steps_per_epoch == 1 and step > 1:
        return (
            ", the first of an epoch: another order of the examples, or a state that is lost or"
            " disturbed there?"
        )
    return ""
