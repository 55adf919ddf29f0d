"""The gate: slices, clock, epochs, stopping. A fake clock and a fake session, no framework."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from nncompare.numerics.batches import BatchPlan
from nncompare.wire.slice import Slice
from nncompare.worker.gate import TrainingGate


class FakeClock:
    """Advances only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_plan(examples: int = 1000, batch_size: int = 10, epochs: int = 2) -> BatchPlan:
    steps = epochs * -(-examples // batch_size)
    return BatchPlan(
        examples=examples,
        batch_size=batch_size,
        epochs=epochs,
        seed=0,
        learning_rate=np.full(steps, 0.1),
    )


class Run:
    """Drives a gate as a session would: every step takes ``step_s`` and has loss ``1 / (step +
    1)``.
    """

    def __init__(
        self, plan: BatchPlan, *, step_s: float = 0.004, stop_after_epoch: int | None = None
    ):
        self.plan, self.step_s, self.clock = plan, step_s, FakeClock()
        self.epochs: list[tuple[int, float, float]] = []
        self.permits = iter([True] * 10_000)
        self.stop_after_epoch = stop_after_epoch
        self.gate = TrainingGate(
            plan,
            clock=self.clock,
            permit=lambda: next(self.permits),
            on_slice=lambda _: None,
            on_epoch=self.on_epoch,
        )

    def on_epoch(self, epoch: int, loss: float, seconds: float) -> bool:
        self.clock.now += 7.0  # evaluation takes time that no slice may contain
        self.epochs.append((epoch, loss, seconds))
        return epoch == self.stop_after_epoch

    def losses(self) -> Iterator[float]:
        return (1 / (step + 1) for step in range(self.plan.steps))

    def train(self) -> list[Slice]:
        while (piece := self.gate.next()) is not None:
            self.clock.now += self.step_s * (piece.end - piece.begin)
            losses = [1 / (step + 1) for step in range(piece.begin, piece.end)]
            self.gate.done(self.plan.mean_loss(piece.begin, piece.end, losses))
        return self.gate.slices


def test_slices_cover_every_step_once_and_stay_inside_epochs():
    plan = make_plan()
    slices = Run(plan).train()
    steps = [step for piece in slices for step in range(piece.begin, piece.end)]
    assert steps == list(range(plan.steps))
    for piece in slices:
        assert (
            piece.begin // plan.steps_per_epoch
            == (piece.end - 1) // plan.steps_per_epoch
            == piece.epoch - 1
        )


def test_first_step_and_warmup_are_told_apart_from_steady_slices():
    slices = Run(make_plan()).train()
    assert [piece.phase for piece in slices[:4]] == ["first", "warmup", "warmup", "steady"]
    assert slices[0].end == 1
    assert slices[3].begin == 21


def test_steady_slices_fill_a_fifth_of_a_second():
    steady = [piece for piece in Run(make_plan()).train() if piece.phase == "steady"]
    # 0.2 s at 4 ms a step, cut only by the end of an epoch
    assert steady[0].end - steady[0].begin == 50
    assert steady[0].seconds == pytest.approx(0.2)


def test_the_first_smaller_batch_is_no_steady_slice():
    # 36 steps an epoch, the last one with 30 examples: a new shape, which may be traced when it
    # first comes
    slices = Run(make_plan(examples=1150, batch_size=32)).train()
    pieces = [(piece.begin, piece.end, piece.phase) for piece in slices]
    assert pieces[3:5] == [(21, 35, "steady"), (35, 36, "warmup")]
    assert pieces[5:] == [(36, 72, "steady")]


def test_evaluation_is_outside_the_clock():
    run = Run(make_plan())
    slices = run.train()
    assert sum(piece.seconds for piece in slices) == pytest.approx(run.plan.steps * run.step_s)
    assert [seconds for _, _, seconds in run.epochs] == pytest.approx([0.4, 0.4])


def test_the_last_epoch_is_evaluated_too():
    run = Run(make_plan(epochs=3))
    run.train()
    assert [epoch for epoch, _, _ in run.epochs] == [1, 2, 3]


def test_epoch_loss_is_the_mean_over_examples_with_a_partial_last_batch():
    plan = make_plan(examples=25, batch_size=10, epochs=1)
    run = Run(plan)
    run.train()
    assert run.epochs[0][1] == pytest.approx((10 * 1 + 10 / 2 + 5 / 3) / 25)


def test_answering_stop_ends_training_after_that_epoch():
    run = Run(make_plan(epochs=5), stop_after_epoch=2)
    slices = run.train()
    assert slices[-1].end == 2 * run.plan.steps_per_epoch
    assert run.gate.next() is None
    assert len(run.epochs) == 2


def test_a_loss_that_is_not_finite_stops_and_is_remembered():
    run = Run(make_plan())
    assert run.gate.next() is not None
    run.gate.done(math.nan)
    assert run.gate.next() is None
    assert run.gate.divergence is not None
    assert math.isnan(run.gate.divergence.loss)
    assert (run.gate.divergence.slice.begin, run.gate.divergence.slice.loss) == (0, None)
    assert run.epochs == []


def test_without_leave_nothing_runs():
    run = Run(make_plan())
    run.permits = iter([True, False])
    run.train()
    assert run.gate.interrupted
    assert run.gate.slices[-1].end == 1


def test_a_training_of_single_steps_has_no_longer_slices():
    plan = make_plan(examples=8, batch_size=8, epochs=30)
    slices = Run(plan).train()
    assert [piece.end - piece.begin for piece in slices] == [1] * 30
    assert sum(piece.phase == "steady" for piece in slices) == 9
