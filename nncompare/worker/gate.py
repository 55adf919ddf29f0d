"""The gate: hands out the slices of a training run, owns the clock, evaluates between epochs.

A slice never crosses the end of an epoch, since evaluation stands there. The first slice is one
step (tracing, compilation), the next ones are warm-up, and the rest are as many steps as fill
``SLICE_S``. Where the last batch of an epoch is smaller, its first occurrence is a slice of its
own, and warm-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from nncompare.backends.base import Piece
from nncompare.numerics.batches import BatchPlan
from nncompare.wire.slice import Phase, Slice

SLICE_S = 0.2
"""What a steady slice is meant to take: long beside the clock's resolution, short beside an epoch.
"""
SLICE_STEPS = 10
"""Steps of a slice of the warm-up, and the least of a steady one."""
WARMUP_STEPS = 20
"""Steps after the first that are not counted."""


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """A loss that is not finite, and the slice that had it."""

    slice: Slice
    loss: float


@dataclass
class _EpochSoFar:
    """Sums over the slices of the epoch that runs; ``loss`` is weighted by examples."""

    loss: float = 0.0
    examples: int = 0
    seconds: float = 0.0


@dataclass
class TrainingGate:
    """Fulfils ``backends.base.Gate``.

    Args:
        plan: what is trained.
        clock: monotonic seconds.
        permit: waits for the parent's word before each slice; False stops.
        on_slice: called after each slice, outside the clock.
        on_epoch: called after each epoch, outside the clock, with the epoch (from 1), its mean
            training loss and its seconds; it evaluates, and answers True to stop training.
    """

    plan: BatchPlan
    _: KW_ONLY
    clock: Callable[[], float]
    permit: Callable[[], bool]
    on_slice: Callable[[Slice], None]
    on_epoch: Callable[[int, float, float], bool]

    def __post_init__(self) -> None:
        self.slices: list[Slice] = []
        self.divergence: Divergence | None = None
        self.interrupted = False
        self._step = 0
        self._piece: Piece | None = None
        self._begun = 0.0
        self._epoch = _EpochSoFar()
        self._over = False
        # a smaller last batch is a new shape, which some frameworks trace or compile when they
        # first meet it
        ragged = self.plan.examples % self.plan.batch_size != 0
        self._new_shape = self.plan.steps_per_epoch - 1 if ragged else None

    def next(self) -> Piece | None:
        """The next piece, or None when training is over."""
        at_epoch_end = self._step > 0 and self._step % self.plan.steps_per_epoch == 0
        if at_epoch_end and not self._over:
            self._end_epoch()
        if self._over or self._step >= self.plan.steps:
            return None
        # asked here, so that waiting for the parent is in no slice
        if not self.permit():
            self.interrupted = True
            return None
        epoch_index = self._step // self.plan.steps_per_epoch
        border = (epoch_index + 1) * self.plan.steps_per_epoch
        # the first epoch's smaller batch is kept apart from the slice before it
        if self._new_shape is not None and self._step < self._new_shape:
            border = self._new_shape
        end = min(self._step + self._length(), border)
        self._piece = Piece(self._step, end, epoch_index)
        # last of all, so that nothing above is in the slice's time
        self._begun = self.clock()
        return self._piece

    def done(self, loss: float) -> None:
        """Ends the piece that ``next`` gave; the clock is read before anything else."""
        seconds = self.clock() - self._begun
        piece = self._piece
        assert piece is not None, "done() follows next()"
        finite = math.isfinite(loss)
        sample = Slice(
            epoch=piece.epoch_index + 1,
            begin=piece.begin,
            end=piece.end,
            seconds=seconds,
            loss=loss if finite else None,
            phase=self._phase(piece),
        )
        self._piece = None
        self._step = piece.end
        examples = int(self.plan.sizes(piece.begin, piece.end).sum())
        self._epoch.loss += loss * examples
        self._epoch.examples += examples
        self._epoch.seconds += seconds
        self.slices.append(sample)
        # outside the clock: it may write to the wire
        self.on_slice(sample)
        # a training that ran away does not come back
        if not finite:
            self.divergence = Divergence(slice=sample, loss=loss)
            self._over = True

    def _end_epoch(self) -> None:
        """Evaluates the epoch that has ended; training is over if that says so."""
        ended = self._epoch
        self._epoch = _EpochSoFar()
        epoch = self._step // self.plan.steps_per_epoch
        stop = self.on_epoch(epoch, ended.loss / ended.examples, ended.seconds)
        self._over = stop or self._step >= self.plan.steps

    def _phase(self, piece: Piece) -> Phase:
        # tracing and compilation
        if piece.begin == 0:
            return "first"
        if piece.begin <= WARMUP_STEPS or piece.begin == self._new_shape:
            return "warmup"
        return "steady"

    def _length(self) -> int:
        """Steps of the next slice: one, then warm-up, then enough for ``SLICE_S`` at the last
        slice's speed.
        """
        # alone, so that its compilation is not in the warm-up
        if self._step == 0:
            return 1
        if self._step <= WARMUP_STEPS:
            return SLICE_STEPS
        last = self.slices[-1]
        step_s = last.seconds / last.steps
        if step_s <= 0:
            # faster than the clock can tell
            return SLICE_STEPS
        return max(SLICE_STEPS, math.ceil(SLICE_S / step_s))
