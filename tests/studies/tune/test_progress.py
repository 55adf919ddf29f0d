"""What a search shows while it runs: a table that fits the terminal, or one plain line a trial."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nncompare.spec.tune import Goal
from nncompare.studies.tune.progress import TuneProgress, params_text
from nncompare.studies.tune.trial import FinalState, FinishedTrial

PARAMS = {
    "train.optimizer": '{"name": "sgd", "lr": 0.1}',
    "model.dropout": 0.123456789,
    "model.hidden.0": 64,
}


def ended(
    number: int,
    values: list[float] | None,
    *,
    state: FinalState = "complete",
    status: str = "ok",
    reason: str | None = None,
) -> FinishedTrial:
    return FinishedTrial(
        number=number,
        state=state,
        status=status,
        reason=reason,
        values=values,
        params=dict(PARAMS),
        seconds=1.25,
    )


def shown(progress: TuneProgress, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None, _environ={})
    with console.capture() as capture:
        console.print(progress._picture())
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_live_table_cuts_parameters_where_it_must_and_never_a_number(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, _environ={})
    progress = TuneProgress(console, live=True, clock=lambda: 0.0)
    progress.search_started("torch", Goal(name="val_loss"), 100, 0)
    for number, value in enumerate([0.25, 0.0123456, 1234.5]):
        progress.trial_started("torch", number, PARAMS)
        progress.trial_done("torch", ended(number, [value]))
    progress.trial_done(
        "torch", ended(3, None, state="failed", status="out of memory", reason="no memory " * 20)
    )
    progress.trial_started("torch", 4, PARAMS)
    progress.trial_epoch("torch", 4, 17, 30, 0.5)
    lines = shown(progress, width)
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    for word in ("trial", "val_loss", "0.2500", "0.01235 *", "1,234", "1.250 s"):
        assert word in text, text
    assert {"failed: out of memory", "epoch 17/30"} <= {
        line[8:].split("   ")[0].strip() for line in lines
    }, text
    assert "best 0.01235 in trial 1" in lines[0]
    assert ("hidden.0=64" in text) == (width >= 120)


def test_on_a_pipe_a_trial_is_one_plain_line_with_whole_paths() -> None:
    console = Console(
        file=io.StringIO(), width=40, color_system=None, force_terminal=False, _environ={}
    )
    progress = TuneProgress(console, clock=lambda: 0.0)
    with console.capture() as capture:
        progress.search_started("torch", Goal(name="val_accuracy"), 3, 1)
        progress.trial_done("torch", ended(1, [0.5]))
        progress.trial_done("torch", ended(2, [0.25]))
    first, second, third = capture.get().splitlines()
    assert first == "torch: 3 trials, 1 done before"
    assert "trial 1 (2 of 3) complete val_accuracy 0.5000, best so far" in second
    assert "model.hidden.0=64" in second
    assert "best 0.5000" in third


def test_a_path_is_shortened_to_what_tells_it_from_the_others() -> None:
    paths = {
        "model.layers.0.units": 1,
        "model.layers.1.units": 2,
        "train.optimizer.lr": 0.1,
        "train.optimizer": "[1]",
    }
    assert (
        params_text(paths, brief=True)
        == "layers.0.units=1  layers.1.units=2  lr=0.1000  optimizer=[1]"
    )
