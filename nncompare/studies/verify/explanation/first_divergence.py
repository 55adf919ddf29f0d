"""Where runtimes part from each other although each stands before the formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

_ROWS_TOLD = 6


def first_divergence(
    context: Context, observations: Mapping[str, Observation], failed: Sequence[Check]
) -> tuple[Check, str] | None:
    """The check where it begins, in the name of the runtime at fault, and words for it; None if
    nothing failed.

    Of three runtimes or more the odd one out is at fault; of two, which one it is cannot be known.

    Args:
        failed: checks between runtimes, of one dtype.
    """
    if not failed:
        return None
    odd = _odd_one_out(observations, failed)
    mine = [check for check in failed if _concerns(check, odd)]
    first = min(mine, key=_when)
    other = first.against if first.runtime == odd else first.runtime
    words = f"parts from {other}"
    if len(observations) == 2:
        words = f"{odd} and {other} part; which of them is wrong is not known"
    layer = first.layer
    if first.step is not None:
        words += f" at step {first.step}{_place_in_epoch(context, first.step)}"
    if layer is not None:
        words += _rows(observations, odd, other, first)
    elif first.step is not None:
        words += _update_before(context, first.step)
        # a loss names no layer; the weights that were kept may
        tensor = _first_tensor(mine, first.step)
        if tensor is not None:
            layer = tensor.layer
            words += f"; of the weights that were kept, first in those after step {tensor.step}"
            words += _rows(observations, odd, other, tensor)
    return replace(first, runtime=odd, against=other, layer=layer), words


def _odd_one_out(observations: Mapping[str, Observation], failed: Sequence[Check]) -> str:
    """The runtime that parts from most others; of several the one that does so in most places."""

    def rank(runtime: str) -> tuple[int, int]:
        mine = [check for check in failed if _concerns(check, runtime)]
        others = {check.runtime if check.against == runtime else check.against for check in mine}
        return len(others), len(mine)

    return max(observations, key=rank)


def _concerns(check: Check, runtime: str) -> bool:
    return runtime in (check.runtime, check.against)


def _when(check: Check) -> tuple[int, float]:
    """Orders checks by their step, and those of one step by how far off they are."""
    return check.step or 0, -check.severity


def _update_before(context: Context, step: int) -> str:
    """The update that made the weights of a step's loss."""
    if step == 1:
        return ""
    rate = float(context.plan.trajectory.learning_rate[step - 2])
    return f"; the update before it is that of step {step - 1}, with learning rate {rate:.6g}"


def _first_tensor(failed: Sequence[Check], step: int) -> Check | None:
    """The tensor that is farthest off at the first checkpoint that is off, not before the
    loss was.
    """
    tensors = [
        check
        for check in failed
        if check.layer is not None and check.step is not None and check.step >= step - 1
    ]
    return min(tensors, key=_when, default=None)


def _rows(observations: Mapping[str, Observation], odd: str, other: str, check: Check) -> str:
    """Which rows of a tensor are off, where these are few: those of one token, of one gate."""
    if check.step is None or check.layer is None:
        return ""
    kept = [observations[runtime].checkpoints.get(check.step, {}) for runtime in (odd, other)]
    a, b = (weights.get(check.layer) for weights in kept)
    if a is None or b is None or a.shape != b.shape or not a.ndim:
        return ""
    off = np.abs(np.asarray(a, np.float64) - b) > 1e-3 * check.worst
    where = np.flatnonzero(off.any(axis=tuple(range(1, a.ndim))))
    if not 0 < len(where) <= min(_ROWS_TOLD, len(a) // 2):
        return ""
    return f", in row {', '.join(str(row + 1) for row in where)} of {len(a)} alone"


def _place_in_epoch(context: Context, step: int) -> str:
    """What a loop does in this step that it does not do in others."""
    plan = context.plan.trajectory
    place = step % plan.steps_per_epoch
    if place == 0 and plan.examples % plan.batch_size:
        return ", the smaller last batch of an epoch: left out, or weighed as a full one?"
    if place == 1 and step > 1:
        return (
            ", the first of an epoch: another order of the examples, or a state that is lost or"
            " disturbed there?"
        )
    return ""
