"""How far a trajectory can be compared: until it diverges, and until rounding has grown out of all
bounds.

Most trainings keep rounding small: 1e-16 becomes 1e-12 in 200 steps, a hundredth of a tolerance.
Some do not. With a learning rate far too large, or an optimizer that divides by vanishing
gradients, two trainings of *one* runtime that start 1e-14 apart have nothing in common after 100
steps. When runtimes part in the trajectory alone, while all formulas hold, that growth is measured
in each of them, and the tolerances follow it as long as it means anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import absolute, relative, scale
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.trajectory import loss_size
from nncompare.wire.observation import PERTURBATION, Observation

FACTOR = 10.0
"""Runtimes may lie apart by so many times what a change by rounding does to one of them."""
LOST = 1e-5
"""Relative growth of that change in the loss, or in a tensor, from which a comparison says nothing
any more.
"""
_DIVERGED = 1e6
"""A loss of so many times the first (or times 1, if that is more) has diverged."""


def in_doubt(checks: Sequence[Check]) -> bool:
    """Whether checks fail between runtimes in the trajectory, and nowhere else."""
    failed = [check for check in checks if not check.passed]
    return bool(failed) and all(check.compares_trajectories for check in failed)


def sound_steps(observations: Mapping[str, Observation], steps: int) -> int:
    """How many steps of the trajectory come before the first loss that has diverged, in any
    runtime.
    """
    for one in observations.values():
        losses = one.losses[""]
        first = abs(float(losses[0])) if np.isfinite(losses[0]) else 1.0
        sizes = np.abs(np.nan_to_num(losses, nan=np.inf))
        diverged = np.flatnonzero(sizes > _DIVERGED * max(first, 1.0))
        if diverged.size:
            # the loss of a step is that of the weights before it, and the update before these was
            # already out of hand
            steps = min(steps, max(int(diverged[0]) - 1, 0))
    return steps


def until(checks: Sequence[Check], steps: int, *, between: bool = False) -> list[Check]:
    """The checks without those of the trajectory after so many steps.

    Args:
        between: leave out those between runtimes alone; what the formulas say of a late step at
            the weights before it means as much as ever.
    """
    found = []
    for check in checks:
        shown = check.compares_trajectories if between else check.quantity.of_trajectory
        late = check.step is not None and check.step > steps
        if not (late and shown):
            found.append(check)
    return found


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a change of the initial weights by rounding becomes, in each runtime.

    Args:
        observations, perturbed: runtime -> what it did, without and with the change.
    """

    observations: Mapping[str, Observation]
    perturbed: Mapping[str, Observation]

    @cached_property
    def losses(self) -> Array:
        """``(steps,)``, relative to the loss; the largest so far in any runtime."""
        apart = []
        for runtime, one in self.perturbed.items():
            a = one.losses[""]
            b = self.observations[runtime].losses[""]
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.abs(a - b) / loss_size(b, float(b[0]))
            # a loss that is not finite cannot be compared
            apart.append(np.nan_to_num(share, nan=np.inf))
        return np.maximum.accumulate(np.max(apart, axis=0))

    def tensor(self, name: str, step: int) -> tuple[float, float]:
        """The largest difference of a parameter at a checkpoint up to ``step``: absolute, and
        relative.
        """
        far = 0.0
        share = 0.0
        for runtime, one in self.perturbed.items():
            checkpoints = self.observations[runtime].checkpoints
            for mark, weights in one.checkpoints.items():
                # growth never falls back: what was apart once counts for all later steps
                if mark <= step:
                    right = checkpoints[mark][name]
                    apart = absolute(weights[name], right)
                    far = max(far, apart)
                    share = max(share, apart / scale(right))
        return far, share

    def logits(self) -> float:
        """Relative, after the last step."""
        return max(
            relative(one.logits[""], self.observations[runtime].logits[""])
            for runtime, one in self.perturbed.items()
        )

    def at(self, check: Check) -> tuple[float, float]:
        """What the change has become in the place of a check of the trajectory: in the check's
        unit, and relative.
        """
        assert check.step is not None
        if check.quantity == Quantity.LOSS_EVERY_STEP:
            share = float(self.losses[check.step - 1])
            return share, share
        if check.quantity == Quantity.LOGITS:
            share = self.logits()
            return share, share
        assert check.layer is not None
        far, share = self.tensor(check.layer, check.step)
        return (share if check.quantity.unit == "relative" else far), share

    def comparable_steps(self) -> int:
        """How many steps of the trajectory come before rounding is lost in the loss."""
        return int((self.losses <= LOST).sum())

    def in_words(self) -> str:
        """Why the comparison is not as usual."""
        change = f"a change of the initial weights by {PERTURBATION:.0e} changes the loss"
        at_end = f"by {self.losses[-1]:.1e} at the end"
        if self.losses[-1] <= LOST:
            return (
                "rounding grows faster than usual in this training, and the gates follow it:"
                f" {change} {at_end}"
            )
        return (
            f"rounding grows without bound in this training: {change} of one and the same runtime"
            f" by more than {LOST:.0e} from there on, and {at_end}"
        )


def with_growth(checks: Sequence[Check], growth: Growth, steps: int) -> list[Check]:
    """The float64 checks, with tolerances that follow the growth of rounding, and without what
    cannot be compared.

    Args:
        checks: all of them; only failed ones between runtimes change.
        growth: of the trajectory; ``steps``: how many of it can be compared.
    """
    found = []
    for check in until(checks, steps, between=True):
        # the formulas stand at the weights before the step: growth is no excuse there
        if check.passed or not check.compares_trajectories:
            found.append(check)
            continue
        room, share = growth.at(check)
        # beyond that, two trainings of one runtime have nothing in common: nothing is compared
        if share <= LOST:
            found.append(check.with_room(FACTOR * room))
    return found
