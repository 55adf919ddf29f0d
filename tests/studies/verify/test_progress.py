"""The live display of a check: a pipe gets a few plain lines, from whichever thread they come."""

from __future__ import annotations

import io

from rich.console import Console

from nncompare.studies.verify.progress import VerifyProgress
from nncompare.wire.messages import CheckProgress, Imported, Slices
from nncompare.wire.outcome import Outcome
from tests.wire.examples import SLICE, WORKER


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def said(progress: VerifyProgress, clock: Clock) -> None:
    with progress:
        progress.prepares("reads the data")
        progress.message("torch float64", Imported(versions={}))
        progress.message("torch float64", CheckProgress(what="updates", done=0, of=30))
        for done in (0, 10, 20):
            step = CheckProgress(what="trajectory", done=done, of=30)
            progress.message("torch float64", step)
            progress.message("keras float64", step)
            clock.now += 1.5
        progress.phase("looks for the causes")
        progress.phase("looks for the causes")
        progress.ended("torch float64", Outcome(runtime="torch", status="ok"))
        reason = "\x1b[31mloss\nis nan"
        progress.ended("keras", Outcome(runtime="keras", status="diverged", reason=reason))


def test_a_pipe_gets_the_trajectory_at_most_every_two_seconds() -> None:
    console = Console(file=io.StringIO(), width=40)
    clock = Clock()
    said(VerifyProgress(console, clock=clock), clock)
    assert console.file.getvalue().splitlines() == [
        "reads the data",
        "torch float64: builds the network",
        "torch float64: updates",
        "torch float64: trajectory, step 0 of 30",
        "keras float64: trajectory, step 0 of 30",
        "torch float64: trajectory, step 20 of 30",
        "keras float64: trajectory, step 20 of 30",
        "looks for the causes",
        "torch float64: observed",
        "keras: diverged: loss is nan",
    ]


def test_quiet_says_nothing() -> None:
    console = Console(file=io.StringIO(), width=40)
    clock = Clock()
    said(VerifyProgress(console, quiet=True, clock=clock), clock)
    assert console.file.getvalue() == ""


def test_a_terminal_has_a_bar_for_every_worker() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    with VerifyProgress(console, live=True, clock=Clock()) as progress:
        progress.message("torch float64", CheckProgress(what="trajectory", done=15, of=30))
        progress.message("keras float64", Imported(versions={}))
        progress._live.refresh()
        shown = console.file.getvalue()
    assert "trajectory, step 15 of 30" in shown
    assert "builds the network" in shown


def test_every_message_is_understood() -> None:
    progress = VerifyProgress(Console(file=io.StringIO()), clock=Clock())
    for message in (*WORKER, Slices(slices=(SLICE,))):
        progress.message("torch float64", message)
