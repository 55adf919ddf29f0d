"""The benchmark's own arithmetic and its interleaving, with a clock that the test moves."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from benchmarks.cases import CASES, STEPS_PER_EPOCH, experiment
from benchmarks.interleave import InterleavingGate
from benchmarks.intervals import median_interval, spread
from nncompare.data import prepare, signature
from nncompare.numerics.batches import BatchPlan


def plan(epochs: int) -> BatchPlan:
    return BatchPlan(
        examples=6, batch_size=2, epochs=epochs, seed=0, learning_rate=np.full(3 * epochs, 0.1)
    )


class World:
    """A clock, and what ran when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def clock(self) -> float:
        return self.now

    def handwritten(self, epochs: int) -> float:
        self.log.append("handwritten")
        self.now += 100  # the whole piece with its head, of which it counts 4 s an epoch
        return 4.0 * epochs

    def train(self, gate: InterleavingGate, seconds: list[float]) -> None:
        """A session whose epochs take these times, in turn."""
        while (piece := gate.next()) is not None:
            self.log.append(f"session {piece.begin}-{piece.end}")
            self.now += seconds[piece.epoch_index]
            gate.done(float(piece.epoch_index))


def test_pieces_alternate_and_the_head_is_not_counted() -> None:
    world = World()
    gate = InterleavingGate(
        plan(6), epochs=2, order=[True, False], handwritten=world.handwritten, clock=world.clock
    )
    world.train(gate, [9.0, 2.0, 3.0, 9.0, 8.0, 8.0])
    assert world.log == [
        *("session 0-3", "session 3-6", "session 6-9", "handwritten"),
        *("handwritten", "session 9-12", "session 12-15", "session 15-18"),
    ]
    assert [pair.session_s for pair in gate.pairs] == [5.0, 16.0]
    assert [pair.handwritten_s for pair in gate.pairs] == [8.0, 8.0]
    assert [pair.session_first for pair in gate.pairs] == [True, False]
    assert [pair.ratio for pair in gate.pairs] == [1.6, 0.5]
    assert gate.losses == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_plan_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="2 pieces of 1 \\+ 2 epochs do not fit 5 epochs"):
        InterleavingGate(plan(5), epochs=2, order=[True, False], handwritten=lambda _: 1.0)


def test_interval_of_the_median_is_between_exact_order_statistics() -> None:
    found = median_interval([float(value) for value in range(1, 21)])
    assert found.median == 10.5
    assert (found.low, found.high) == (6.0, 15.0)
    outside = 2 * sum(comb(20, k) for k in range(6)) / 2**20
    assert found.coverage == pytest.approx(1 - outside)
    assert found.coverage >= 0.95
    wider = 2 * sum(comb(20, k) for k in range(7)) / 2**20
    assert 1 - wider < 0.95, "the next narrower interval covers too little"


def test_interval_of_few_values_says_how_little_it_covers() -> None:
    assert median_interval([1.0, 3.0, 2.0]) == (2.0, 1.0, 3.0, 0.75)
    assert median_interval([1.0]) == (1.0, 1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="no values"):
        median_interval([])


def test_interval_holds_the_median_as_often_as_it_says() -> None:
    stream = np.random.default_rng(0)
    samples = stream.exponential(size=(2000, 9))
    found = [median_interval(list(sample)) for sample in samples]
    share = np.mean([interval.low <= np.log(2) <= interval.high for interval in found])
    assert share == pytest.approx(found[0].coverage, abs=0.015)


def test_spread_is_that_of_the_middle_half() -> None:
    assert spread([1.0, 1.0, 1.0]) == 0.0
    assert spread([0.1, 0.9, 1.0, 1.0, 1.0, 1.0, 1.1, 9.0]) == pytest.approx(0.0)
    assert spread([0.8, 0.8, 1.0, 1.2, 1.2]) == pytest.approx(0.2)


@pytest.mark.parametrize("name", CASES)
def test_cases_are_whole_batches_of_a_model_that_resolves(name: str) -> None:
    spec = experiment(name)
    model = spec.resolve(signature(spec.data, spec.task))
    assert model.output.shape == (10,)
    data = prepare(spec.data, spec.task, seed=0, dtype=np.float32)
    assert len(data.train) == STEPS_PER_EPOCH * CASES[name].batch_size
