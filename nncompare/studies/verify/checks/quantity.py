"""What is compared."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Unit = Literal["relative", "absolute"]


class Quantity(StrEnum):
    """A quantity that checks compare, in the order of cause and effect; its value is the word that
    reports and JSON documents use.
    """

    ROUND_TRIP = "round trip"
    FORWARD = "forward"
    FORWARD_TRAINING = "forward, training"
    LOSS = "loss"
    GRADIENT = "gradient"
    UPDATE = "update"
    RUNNING_STATISTICS = "running statistics"
    FORWARD_AFTER_UPDATES = "forward after updates"
    UPDATE_AFTER_LOAD = "update after load"
    WEIGHTS_AFTER_STEP_1 = "weights after step 1"
    LOSS_EVERY_STEP = "loss, every step"
    WEIGHTS = "weights"
    DEAD_WEIGHTS = "dead weights"
    FINAL_RUNNING_STATISTICS = "final running statistics"
    LOGITS = "logits"
    LONG_PIECES = "long pieces"
    LOSS_OF_LONG_PIECES = "loss of long pieces"
    DROPOUT_VALUES = "dropout, values"
    DROPOUT_SHARE_KEPT = "dropout, share kept"

    @property
    def unit(self) -> Unit:
        """The sense of its figures by the formulas and in float64; float32 runtimes are compared
        with each other in absolute figures.
        """
        return "absolute" if self in _ABSOLUTE else "relative"


_ABSOLUTE = frozenset(
    {
        Quantity.ROUND_TRIP,
        Quantity.UPDATE,
        Quantity.UPDATE_AFTER_LOAD,
        Quantity.WEIGHTS_AFTER_STEP_1,
        Quantity.WEIGHTS,
        Quantity.DEAD_WEIGHTS,
        Quantity.LONG_PIECES,
        Quantity.DROPOUT_SHARE_KEPT,
    }
)
