"""The gate: hands out the slices of a training run, owns the clock, evaluates between epochs.

A slice never crosses the end of an epoch, since evaluation stands there. The first slice is one
step (tracing, compilation), the next ones are warm-up, and the rest are as many steps as fill
``SLICE_S``. Where the last batch of an epoch is smaller, its first occurrence is a slice of its
own, and warm-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nncompare.backends.base import Piece
from nncompare.numerics.batches import BatchPlan

SLICE_S = 0.2
SLICE_STEPS = 10
WARMUP_STEPS = 20

Phase = Literal["first", "warmup", "steady"]


class Slice(NamedTuple):
    """One raw sample: steps ``begin…end - 1`` took ``seconds``; ``loss`` is their mean over
    examples.
    """

    epoch: int
    begin: int
    end: int
    seconds: float
    loss: float
    phase: Phase


@dataclass
class _Epoch:
    loss: float = 0.0
    examples: int = 0
    seconds: float = 0.0


class TrainingGate:
    """Fulfils ``backends.base.Gate``.

    Args:
        plan: what is trained.
        clock: monotonic seconds.
        permit: waits for the parent's word before each slice; False stops.
        on_slice: called after each slice, outside the clock.
        on_epoch: called after each epoch, outside the clock, with the epoch (from 0), its mean
            training loss and its seconds; it evaluates, and answers True to stop training.
    """

    def __init__(
        self,
        plan: BatchPlan,
        *,
        clock: Callable[[], float],
        permit: Callable[[], bool],
        on_slice: Callable[[Slice], None],
        on_epoch: Callable[[int, float, float], bool],
    ):
        self.plan, self.clock, self.permit = plan, clock, permit
        self.on_slice, self.on_epoch = on_slice, on_epoch
        self.slices: list[Slice] = []
        self.diverged_at: Slice | None = None
        self.interrupted = False
        self._step = 0
        self._piece: Piece | None = None
        self._begun = 0.0
        self._epoch = _Epoch()
        self._over = False
        ragged = plan.examples % plan.batch_size != 0
        # a smaller last batch is a new shape, which some frameworks trace or compile when they
        # first meet it
        self._new_shape = plan.steps_per_epoch - 1 if ragged else None

    def next(self) -> Piece | None:
        if not self._over and self._step > 0 and self._step % self.plan.steps_per_epoch == 0:
            self._end_epoch()
        if self._over or self._step >= self.plan.steps:
            return None
        if not self.permit():
            self.interrupted = True
            return None
        epoch = self._step // self.plan.steps_per_epoch
        border = (epoch + 1) * self.plan.steps_per_epoch
        if self._new_shape is not None and self._step < self._new_shape:
            border = self._new_shape
        self._piece = Piece(self._step, min(self._step + self._length(), border), epoch)
        self._begun = self.clock()
        return self._piece

    def done(self, loss: float) -> None:
        seconds = self.clock() - self._begun
        piece = self._piece
        assert piece is not None, "done() follows next()"
        sample = Slice(piece.epoch, piece.begin, piece.end, seconds, loss, self._phase(piece))
        self._piece, self._step = None, piece.end
        examples = int(self.plan.sizes(piece.begin, piece.end).sum())
        self._epoch.loss += loss * examples
        self._epoch.examples += examples
        self._epoch.seconds += seconds
        self.slices.append(sample)
        self.on_slice(sample)
        if not math.isfinite(loss):
            self.diverged_at, self._over = sample, True

    def _end_epoch(self) -> None:
        done, self._epoch = self._epoch, _Epoch()
        epoch = self._step // self.plan.steps_per_epoch - 1
        self._over = (
            self.on_epoch(epoch, done.loss / done.examples, done.seconds)
            or self._step >= self.plan.steps
        )

    def _phase(self, piece: Piece) -> Phase:
        if piece.begin == 0:
            return "first"
        return (
            "warmup" if piece.begin <= WARMUP_STEPS or piece.begin == self._new_shape else "steady"
        )

    def _length(self) -> int:
        """Steps of the next slice: one, then warm-up, then enough for ``SLICE_S`` at the last
        slice's speed.
        """
        if self._step == 0:
            return 1
        if self._step <= WARMUP_STEPS:
            return SLICE_STEPS
        last = self.slices[-1]
        step_s = last.seconds / (last.end - last.begin)
        return max(SLICE_STEPS, math.ceil(SLICE_S / step_s)) if step_s > 0 else SLICE_STEPS
