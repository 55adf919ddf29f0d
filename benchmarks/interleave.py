"""Alternates pieces of a session's training with pieces of a hand-written loop in one thread, and
times both.

A session asks its gate for work and reports when it is done. This gate answers with whole epochs,
and between two of the session's pieces it runs the other side's piece. So both are warm, both see
the same minute of the machine, and neither runs while the other is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nncompare.backends.base import Piece
from nncompare.numerics.batches import BatchPlan


class Pair(NamedTuple):
    """Seconds of one piece of each side, neighbours in time, the same number of steps."""

    session_s: float
    handwritten_s: float
    session_first: bool

    @property
    def ratio(self) -> float:
        """Training throughput of the session over that of the hand-written loop."""
        return self.handwritten_s / self.session_s


class InterleavingGate:
    """Fulfils ``backends.base.Gate``.

    A piece of the session is ``1 + epochs`` epochs: the first is the head, trained and not counted,
    as in the hand-written loop's ``train``.

    Args:
        plan: at least ``(1 + epochs) * pairs`` epochs.
        epochs: counted epochs of a piece.
        order: of each pair, True: the session's piece first.
        handwritten: runs a piece of the other side and returns its counted seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        plan: BatchPlan,
        *,
        epochs: int,
        order: Sequence[bool],
        handwritten: Callable[[int], float],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if plan.epochs < (1 + epochs) * len(order):
            raise ValueError(
                f"{len(order)} pieces of 1 + {epochs} epochs do not fit {plan.epochs} epochs"
            )
        self.plan, self.epochs, self.order = plan, epochs, tuple(order)
        self.handwritten, self.clock = handwritten, clock
        self.pairs: list[Pair] = []
        self.losses: list[float] = []
        """Mean loss of every epoch of the session."""
        self._epoch = 0
        self._handwritten_s: float | None = None
        self._counted_from = 0.0

    def next(self) -> Piece | None:
        number, part = divmod(self._epoch, 1 + self.epochs)
        if part == 0:
            if number > 0 and self.order[number - 1]:
                self._pair(self.handwritten(self.epochs))
            if number == len(self.order):
                return None
            if not self.order[number]:
                self._handwritten_s = self.handwritten(self.epochs)
        steps = self.plan.steps_per_epoch
        return Piece(self._epoch * steps, (self._epoch + 1) * steps, self._epoch)

    def done(self, loss: float) -> None:
        now = self.clock()
        number, part = divmod(self._epoch, 1 + self.epochs)
        self._epoch += 1
        self.losses.append(loss)
        if part == 0:
            self._counted_from = now
        elif part == self.epochs:
            self._session_s = now - self._counted_from
            if not self.order[number]:
                assert self._handwritten_s is not None, "its piece came before the session's"
                self._pair(self._handwritten_s)

    def _pair(self, handwritten_s: float) -> None:
        self.pairs.append(Pair(self._session_s, handwritten_s, self.order[len(self.pairs)]))
        self._handwritten_s = None
