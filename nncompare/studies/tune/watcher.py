"""Who wants to know how a search goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nncompare.spec.tune import Goal
from nncompare.studies.tune.record import TuneConfirmed
from nncompare.studies.tune.trial import FinishedTrial


class Watcher:
    """Is told of everything as it happens. This one shows nothing; a display overrides what it
    shows.
    """

    def search_started(self, runtime: str, goal: Goal, total: int, done: int) -> None:
        """One runtime's search begins; ``done`` of its ``total`` trials were finished before.

        Args:
            goal: the first one, which decides what is best.
        """

    def trial_started(self, runtime: str, number: int, params: Mapping[str, Any]) -> None:
        """A trial begins to train with these parameters."""

    def trial_epoch(
        self, runtime: str, number: int, epoch: int, epochs: int, value: float | None
    ) -> None:
        """A trial has trained ``epoch`` of ``epochs``; ``value`` of the goal, if it is known."""

    def trial_done(self, runtime: str, done: FinishedTrial) -> None:
        """A trial has ended and is stored."""

    def confirmed(self, row: TuneConfirmed, place: int, total: int) -> None:
        """One of the best trials was repeated, as number ``place`` of ``total``."""

    def say(self, text: str) -> None:
        """Something happened that a user should know."""
