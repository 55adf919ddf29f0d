"""A gate without a clock: the pieces are given in advance. For parity checks, which time
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nncompare.backends.base import Piece
from nncompare.numerics.batches import BatchPlan


class FixedGate:
    """Hands out ``pieces`` in order, then None.

    Args:
        pieces: what to hand out.
        before: called at every ``next``, before its piece (or None at the end) is handed out; the
            place to read ``params`` of the session.

    Attributes:
        losses: what ``done`` was given, one a piece.
        ended: True once None was handed out.
    """

    def __init__(
        self, pieces: Iterable[Piece], before: Callable[[Piece | None], None] | None = None
    ):
        self._pieces = iter(pieces)
        self._before = before
        self._running = False
        """A piece was handed out and is not done."""
        self.losses: list[float] = []
        self.ended = False

    def next(self) -> Piece | None:
        assert not self.ended, "next() after the end of training"
        assert not self._running, "next() before done() of the piece handed out last"
        piece = next(self._pieces, None)
        if self._before is not None:
            self._before(piece)
        self._running = piece is not None
        self.ended = piece is None
        return piece

    def done(self, loss: float) -> None:
        assert self._running, "done() without a piece"
        self._running = False
        self.losses.append(float(loss))


def pieces_of(plan: BatchPlan, length: int | None = None, epochs: int | None = None) -> list[Piece]:
    """The plan cut into pieces of ``length`` steps (None: whole epochs), each within one epoch."""
    width = length or plan.steps_per_epoch
    pieces = []
    for epoch_index in range(plan.epochs if epochs is None else epochs):
        first = epoch_index * plan.steps_per_epoch
        last = first + plan.steps_per_epoch
        for begin in range(first, last, width):
            pieces.append(Piece(begin, min(begin + width, last), epoch_index))
    return pieces
