"""What is compared."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Unit = Literal["relative", "absolute"]


class Quantity(StrEnum):
    """A quantity that checks compare, in the order of cause and effect; its value is the word that
    reports and JSON documents use.

    Attributes:
        unit: the sense of its figures by the formulas and in float64; float32 runtimes are compared
            with each other in absolute figures.
        of_trajectory: the training whose every step is compared shows it.
    """

    unit: Unit
    of_trajectory: bool

    def __new__(cls, word: str, unit: Unit = "relative", of_trajectory: bool = False) -> Quantity:
        member = str.__new__(cls, word)
        member._value_ = word
        member.unit = unit
        member.of_trajectory = of_trajectory
        return member

    ROUND_TRIP = "round trip", "absolute"
    FORWARD = "forward"
    FORWARD_TRAINING = "forward, training"
    LOSS = "loss"
    GRADIENT = "gradient"
    UPDATE = "update", "absolute"
    RUNNING_STATISTICS = "running statistics"
    FORWARD_AFTER_UPDATES = "forward after updates"
    UPDATE_AFTER_LOAD = "update after load", "absolute"
    WEIGHTS_AFTER_STEP_1 = "weights after step 1", "absolute", True
    LOSS_EVERY_STEP = "loss, every step", "relative", True
    WEIGHTS = "weights", "absolute", True
    DEAD_WEIGHTS = "dead weights", "absolute", True
    FINAL_RUNNING_STATISTICS = "final running statistics", "relative", True
    LOGITS = "logits", "relative", True
    LONG_PIECES = "long pieces", "absolute", True
    LOSS_OF_LONG_PIECES = "loss of long pieces", "relative", True
    DROPOUT_VALUES = "dropout, values"
    DROPOUT_SHARE_KEPT = "dropout, share kept", "absolute"
