"""The live display of a run: bars on a terminal, plain lines on a pipe."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from nncompare.backends.base import Device
from nncompare.studies.run.progress import RunProgress
from nncompare.wire.figures import Epoch
from nncompare.wire.messages import Built, EpochEnd, Imported, Slices
from nncompare.wire.slice import Slice
from tests.fixtures.results import examples


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def built(steps: int, compiled: str = "no") -> Built:
    device = Device(kind="cpu", id="cpu", name="x")
    return Built(device=device, settings={"compiled": compiled}, steps=steps)


def steady(epoch: int, begin: int, *, loss: float) -> Slices:
    """Ten steps at 100 a second."""
    sample = Slice(epoch=epoch, begin=begin, end=begin + 10, seconds=0.1, loss=loss, phase="steady")
    return Slices(slices=(sample,))


def follow(progress: RunProgress, clock: Clock, *, epoch_s: float, epochs: int = 5) -> None:
    with progress:
        progress.started("torch")
        progress.message("torch", Imported(versions={}, import_s=2.0))
        progress.message("torch", built(steps=10 * epochs))
        for epoch in range(epochs):
            clock.now += epoch_s
            progress.message("torch", steady(epoch + 1, 10 * epoch, loss=0.5))
            figures = Epoch(epoch=epoch + 1, train_loss=0.5, val_loss=None, val_accuracy=0.9)
            progress.message("torch", EpochEnd(figures=figures))
        progress.finished("torch", examples.row("torch"))


class TestProgress:
    def lines(self, *, epoch_s: float, quiet: bool = False, epochs: int = 5) -> list[str]:
        console, clock = Console(file=io.StringIO(), width=40), Clock()
        follow(
            RunProgress(console, ["torch", "keras"], quiet=quiet, epochs=epochs, clock=clock),
            clock,
            epoch_s=epoch_s,
        )
        text = console.file.getvalue()
        assert "\x1b" not in text
        assert "\r" not in text
        return text.splitlines()

    def test_a_pipe_gets_one_plain_line_at_a_time(self):
        lines = self.lines(epoch_s=3.0)
        assert lines[0] == "torch (1 of 2): starts"
        assert lines[2] == "torch: built on cpu; first step"
        assert (
            lines[3]
            == "torch: epoch 1/5: train loss 0.5000, validation loss n/a, validation accuracy 90.00"
            " %, 100.0 steps/s"
        )
        assert len(lines) == 3 + 5 + 1
        assert lines[-1] == "torch: ok, 4.200 s in all"

    @pytest.mark.parametrize("epochs", [5, 9])
    def test_fast_epochs_are_thinned_but_the_last_is_said(self, epochs):
        lines = [line for line in self.lines(epoch_s=0.1, epochs=epochs) if ": epoch" in line]
        assert len(lines) == 2
        assert "epoch 5" in lines[-1]

    def test_a_first_step_that_compiles_is_told_apart_from_training(self):
        console, clock = Console(file=io.StringIO(), width=40), Clock()
        progress = RunProgress(console, ["tensorflow:xla"], epochs=5, clock=clock)
        first = Slice(epoch=1, begin=0, end=1, seconds=85.0, loss=1.0, phase="first")
        with progress:
            progress.started("tensorflow:xla")
            progress.message("tensorflow:xla", built(steps=50, compiled="XLA"))
            for seconds in (85.0, 0.1):
                one = replace(first, seconds=seconds)
                progress.message("tensorflow:xla", Slices(slices=(one,)))
        assert console.file.getvalue().splitlines()[1:] == [
            "tensorflow:xla: built on cpu; compiles",
            "tensorflow:xla: first step took 85.00 s; trains",
        ]

    def test_a_terminal_shows_how_far_all_runtimes_are(self):
        console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
        progress = RunProgress(console, ["torch", "keras"], epochs=5, live=True, clock=Clock())
        seen = []
        with progress:
            for runtime in ("torch", "keras"):
                progress.started(runtime)
                progress._live.refresh()
                seen.append(console.file.getvalue())
                progress.finished(runtime, examples.row(runtime))
        assert "runtime 1 of 2" in seen[0]
        assert "runtime 2 of 2" not in seen[0]
        assert "runtime 2 of 2" in seen[1]
        # of a single runtime its own bar says it
        console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
        with RunProgress(console, ["torch"], epochs=5, live=True, clock=Clock()) as progress:
            progress.started("torch")
            progress._live.refresh()
            assert "runtime" not in console.file.getvalue()

    def test_quiet_says_nothing(self):
        assert self.lines(epoch_s=3.0, quiet=True) == []

    def test_a_failure_says_why_in_one_line(self):
        console = Console(file=io.StringIO(), width=40)
        with RunProgress(console, ["keras"], epochs=5) as progress:
            progress.started("keras")
            progress.finished(
                "keras",
                examples.failures()
                .runtimes[2]
                .model_copy(update={"reason": "\x1b[31mloss\nis nan"}),
            )
        assert console.file.getvalue().splitlines()[1] == "keras: diverged, loss is nan"

    def test_a_terminal_shows_epoch_speed_and_time_left_and_is_left_clean(self):
        clock = Clock()
        console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
        progress = RunProgress(console, ["torch"], epochs=5, live=True, clock=clock)
        with progress:
            progress.started("torch")
            progress.message("torch", built(steps=50))
            for step in (10, 20):
                clock.now += 1.0
                progress.message("torch", steady(2, step - 10, loss=0.25))
            progress._live.refresh()
            shown = console.file.getvalue()
            progress.finished("torch", examples.row("torch"))
        assert "epoch 2/5  100.0 steps/s  loss 0.2500" in shown
        assert re.search(r"00:0\d left", shown)
        assert "torch: ok, 4.200 s in all" in console.file.getvalue()
