"""How far a trajectory can be compared: until it diverges, and until rounding has grown out of all
bounds.

Most trainings keep rounding small: 1e-16 becomes 1e-12 in 200 steps, a hundredth of a gate. Some do
    not. With a
learning rate far too large, or an optimizer that divides by vanishing gradients, two trainings of
*one* runtime that start 1e-14 apart have nothing in common after 100 steps. When runtimes part in
the trajectory alone, while all formulas hold, that growth is measured in each of them, and the
gates follow it as long as it means anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.gates import Check, absolute, loss_size, relative, scale
from nncompare.studies.verify.record import ParityCheck
from nncompare.wire.observation import Observation
from nncompare.worker.nudge import NUDGE

BETWEEN = (
    "weights after step 1",
    "loss, every step",
    "weights",
    "dead weights",
    "final running statistics",
    "logits",
)
"""Quantities of the trajectory that are compared between runtimes."""
_LATE = (*BETWEEN, "long pieces", "loss of long pieces")
FACTOR = 10.0
"""Runtimes may lie apart by so many times what a nudge by rounding does to one of them."""
LOST = 1e-5
"""Relative growth of a nudge in the loss, or in a tensor, from which a comparison says nothing any
more.
"""
_DIVERGED = 1e6
"""A loss of so many times the first (or times 1, if that is more) has diverged."""
JUDGES = ("formula", "differences", "itself")


def in_doubt(checks: Sequence[Check] | Sequence[ParityCheck]) -> bool:
    """Whether checks fail between runtimes in the trajectory, and nowhere else."""
    failed = [check for check in checks if not check.passed]
    return bool(failed) and all(
        check.against not in JUDGES and check.quantity in BETWEEN for check in failed
    )


def sound_steps(seen: Mapping[str, Observation], steps: int) -> int:
    """How many steps of the trajectory come before the first loss that has diverged, in any
    runtime.
    """
    for one in seen.values():
        losses = one.losses[""]
        first = abs(float(losses[0])) if len(losses) and np.isfinite(losses[0]) else 1.0
        wrong = ~(np.abs(np.nan_to_num(losses, nan=np.inf)) <= _DIVERGED * max(first, 1.0))
        if wrong.any():
            # the loss of a step is that of the weights before it, and the update before these was
            # already out of hand
            steps = min(steps, max(int(np.argmax(wrong)) - 1, 0))
    return steps


def until(checks: Sequence[Check], steps: int, *, between: bool = False) -> list[Check]:
    """The checks without those of the trajectory after so many steps; ``between``: without those
    between runtimes.
    """

    def late(check: Check) -> bool:
        if check.step is None or check.step <= steps:
            return False
        return (
            check.quantity in BETWEEN and check.against not in JUDGES
            if between
            else check.quantity in _LATE
        )

    return [check for check in checks if not late(check)]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a nudge by rounding becomes, in each runtime.

    Args:
        seen, nudged: runtime -> what it did, without and with the nudge.
    """

    seen: Mapping[str, Observation]
    nudged: Mapping[str, Observation]

    def losses(self) -> Array:
        """``(steps,)``, relative to the loss; the largest so far in any runtime."""
        apart = []
        for runtime, one in self.nudged.items():
            a, b = one.losses[""], self.seen[runtime].losses[""]
            with np.errstate(invalid="ignore", divide="ignore"):
                apart.append(np.nan_to_num(np.abs(a - b) / loss_size(b, float(b[0])), nan=np.inf))
        return np.maximum.accumulate(np.max(apart, axis=0))

    def tensor(self, name: str, step: int) -> tuple[float, float]:
        """The largest difference of a parameter at a checkpoint up to ``step``: absolute, and
        relative.
        """
        far, share = 0.0, 0.0
        for runtime, one in self.nudged.items():
            for mark in [mark for mark in one.checkpoints if mark <= step]:
                right = self.seen[runtime].checkpoints[mark][name]
                apart = absolute(one.checkpoints[mark][name], right)
                far, share = max(far, apart), max(share, apart / scale(right))
        return far, share

    def logits(self) -> float:
        """Relative, after the last step."""
        return max(
            relative(one.logits[""], self.seen[runtime].logits[""])
            for runtime, one in self.nudged.items()
        )

    def comparable_steps(self) -> int:
        """How many steps of the trajectory come before rounding is lost in the loss."""
        lost = self.losses() > LOST
        return int(np.argmax(lost)) if lost.any() else len(lost)

    def in_words(self) -> str:
        """Why the comparison is not as usual."""
        losses = self.losses()
        if not (losses > LOST).any():
            return (
                "rounding grows faster than usual in this training, and the gates follow it: a"
                f" change of the initial weights by {NUDGE:.0e} changes the loss by"
                f" {losses[-1]:.1e} at the end"
            )
        return (
            "rounding grows without bound in this training: a change of the initial weights by"
            f" {NUDGE:.0e} changes the loss of one and the same runtime by more than {LOST:.0e}"
            f" from there on, and by {losses[-1]:.1e} at the end"
        )


def with_growth(checks: Sequence[Check], growth: Growth, steps: int) -> list[Check]:
    """The float64 checks, with gates that follow the growth of rounding, and without what cannot be
    compared.

    Args:
        checks: all of them; only failed ones between runtimes change.
        growth: of the trajectory.
        steps: ``growth.comparable_steps()``.
    """
    losses, found = growth.losses(), []
    for check in until(checks, steps, between=True):
        if check.passed or check.against in JUDGES or check.quantity not in BETWEEN:
            found.append(check)
            continue
        assert check.step is not None
        if check.quantity == "loss, every step":
            room = share = float(losses[check.step - 1])
        elif check.quantity == "logits":
            room = share = growth.logits()
        else:
            assert check.layer is not None
            room, share = growth.tensor(check.layer, check.step)
            if check.quantity == "final running statistics":
                room = share
        if share <= LOST:
            found.append(replace(check, gate=max(check.gate, FACTOR * room)))
    return found
