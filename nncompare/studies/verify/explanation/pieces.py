"""Long pieces that do not do what single steps do: the piece where it begins."""

from __future__ import annotations

from nncompare.studies.verify.checks.long_pieces import LOSS
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation


def first_wrong_piece(context: Context, observation: Observation) -> str | None:
    """The first piece whose mean loss is not that of its single steps, in words.

    Weights that are wrong at the end while every loss is right went wrong in the last step, which
    no loss shows.
    """
    plan = context.plan.trajectory
    losses = observation.losses[""]
    pieces = context.plan.whole_pieces
    for given, (begin, end) in zip(observation.whole_losses[""], pieces, strict=True):
        mean = float(plan.mean_loss(begin, end, losses[begin:end]))
        if not abs(float(given) - mean) <= LOSS * abs(mean):
            where = f"steps {begin + 1} to {end} in one piece are not what they are one by one"
            epoch, place = divmod(begin, plan.steps_per_epoch)
            if place:
                return f"{where}; the piece begins within epoch {epoch + 1}"
            if epoch:
                return f"{where}; single steps are evaluated before it"
            return where
    return None
