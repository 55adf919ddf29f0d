"""``nncompare compare-conventions``: what is run, computed, stored and printed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nncompare.cli import call
from nncompare.config.load import load
from nncompare.errors import StoreError
from nncompare.records import reading
from nncompare.records.finished import Finished
from nncompare.records.ledger import LedgerEntry
from nncompare.records.trained_runtime import Final, TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.studies import RECORDS
from nncompare.studies.conventions import study as conventions
from nncompare.studies.conventions.report import conventions_report
from nncompare.studies.run.record import RunRecord
from tests.running import THREE, strict

LOSSES = {"aligned": {"torch": 0.5, "keras": 0.5}, "native": {"torch": 0.75, "keras": 0.25}}


def finished(experiment: Experiment, **changes: Any) -> Finished:
    """What a run of ``experiment`` could give."""
    convention = experiment.train.convention
    rows = tuple(
        TrainedRuntime(
            runtime=name,
            status="ok",
            final=Final(test_loss=loss, val_loss=2 * loss, test_accuracy=1 - loss / 10),
        )
        for name, loss in LOSSES[convention].items()
    )
    entry = LedgerEntry(setting="epsilon", values={"torch": "1e-08", "keras": f"{convention}'s"})
    result = RunRecord(
        id=f"{experiment.name}-id",
        name=experiment.name,
        created="2025-01-01T00:00:00+00:00",
        experiment={},
        environment={"python": "3.11"},
        runtimes=changes.pop("rows", rows),
        ledger=(entry,),
    )
    return Finished(record=result, folder=Path("somewhere"), **changes)


@pytest.fixture
def spec(tiny: Path) -> Experiment:
    return load(tiny / "tiny.yaml")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Experiment]:
    """Runs that only note what they are asked for."""
    asked: list[Experiment] = []

    def run(experiment: Experiment, **_: Any) -> Finished:
        asked.append(experiment)
        return finished(experiment)

    monkeypatch.setattr(conventions, "run", run)
    return asked


def test_both_conventions_are_trained_on_the_same_experiment(spec, runs):
    conventions.compare_conventions(spec, output=None)
    aligned, native = runs
    assert (aligned.train.convention, native.train.convention) == ("aligned", "native")
    assert (aligned.name, native.name) == ("tiny-aligned", "tiny-native")
    same = {"train": aligned.train, "name": aligned.name}
    assert native.model_copy(update=same) == aligned
    assert native.train.optimizer.leaves_open("epsilon"), "what the file leaves open"
    assert not native.train.optimizer.leaves_open("lr")


def test_a_long_name_stays_a_name(spec, runs):
    conventions.compare_conventions(spec.model_copy(update={"name": "x" * 64}), output=None)
    assert all(Experiment.model_validate(run.model_dump()).name for run in runs)
    assert len({run.name for run in runs}) == 2


def test_differences_and_spreads(spec, runs):
    result = conventions.compare_conventions(spec, output=None).record
    assert {row.runtime: row.difference.test_loss for row in result.runtimes} == {
        "torch": 0.25,
        "keras": -0.25,
    }
    assert result.runtimes[0].difference.val_loss == 0.5
    assert result.runtimes[0].difference.test_accuracy == pytest.approx(-0.025)
    assert result.runtimes[0].difference.train_loss is None, "unknown in both"
    assert (result.spread["test_loss"].aligned, result.spread["test_loss"].native) == (0.0, 0.5)
    assert result.spread["train_loss"].native is None
    assert result.ledger[0].values["keras"] == "native's", "the ledger is the native run's"
    assert result.complete


def test_what_did_not_finish_has_no_difference(spec, monkeypatch):
    def run(experiment: Experiment, **_: Any) -> Finished:
        rows = (
            TrainedRuntime(runtime="torch", status="failed", reason="why"),
            finished(experiment).record.runtimes[1],
        )
        return finished(experiment, rows=rows)

    monkeypatch.setattr(conventions, "run", run)
    result = conventions.compare_conventions(spec, output=None).record
    assert not result.complete
    assert result.runtimes[0].difference.test_loss is None
    assert result.spread["test_loss"].native is None, "one runtime has no spread"
    text = printed(result)
    assert "Did not finish, aligned" in text
    assert "failed: why" in text


def test_an_interrupted_run_is_the_last(spec, monkeypatch):
    asked: list[str] = []

    def run(experiment: Experiment, **_: Any) -> Finished:
        asked.append(experiment.train.convention)
        return finished(experiment, rows=(TrainedRuntime(runtime="torch", status="interrupted"),))

    monkeypatch.setattr(conventions, "run", run)
    compared = conventions.compare_conventions(spec, output=None)
    assert asked == ["aligned"]
    assert compared.record.interrupted
    assert compared.record.runtimes[0].native.status == "interrupted"


def test_the_comparison_is_stored_beside_its_runs(spec, runs, tiny):
    compared = conventions.compare_conventions(spec, output=tiny / "results")
    assert compared.folder is not None
    document = strict((compared.folder / "result.json").read_text())
    assert document["kind"] == "conventions"
    assert document["id"] == compared.folder.name
    assert document["runs"] == {"aligned": "tiny-aligned-id", "native": "tiny-native-id"}
    again = load(compared.folder / "experiment.yaml")
    assert again.name == "tiny"
    assert again.train.optimizer.leaves_open("epsilon"), (
        "a default written out would hold in the native run"
    )


def test_a_run_that_cannot_be_stored_is_told_after_the_figures(spec, monkeypatch, tiny):
    problem = StoreError("disk full")
    monkeypatch.setattr(
        conventions, "run", lambda experiment, **_: finished(experiment, problem=problem)
    )
    compared = conventions.compare_conventions(spec, output=tiny / "results")
    assert compared.problem is problem
    assert compared.folder is None
    assert list((tiny / "results").iterdir()) == []


def printed(result: Any, width: int = 120) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(conventions_report(result))
    return console.export_text()


@pytest.mark.parametrize("width", [60, 100, 160])
def test_the_report_shows_both_conventions_and_what_differs(spec, runs, width):
    text = printed(conventions.compare_conventions(spec, output=None).record, width)
    words = " ".join(text.split())
    assert "Final test loss: the runtimes lie 0 apart aligned, 0.5 apart native." in words
    assert "+0.2500" in text
    assert "-0.2500" in text
    assert "-2.50" in text
    assert "Settings that differ in the native convention" in text
    assert "1e-08" in text
    assert "luck" in text
    assert max(map(len, text.splitlines())) <= width


def test_the_command_prints_json_and_stores_three_folders(tiny, capsys):
    code = call(["compare-conventions", "tiny.yaml", "--json", "-q"])
    output = capsys.readouterr()
    document = strict(output.out)
    assert code == 0
    assert document["kind"] == "conventions"
    assert [row["runtime"] for row in document["runtimes"]] == list(THREE)
    assert "Loss with the final weights" in output.err
    records = [reading.read(folder, RECORDS) for folder in (tiny / "results").iterdir()]
    assert {(record.kind, record.name) for record in records} == {
        ("run", "tiny-aligned"),
        ("run", "tiny-native"),
        ("conventions", "tiny"),
    }
    assert len(records) == 3


def test_a_runtime_that_fails_is_exit_code_3(tiny, behave: Callable[..., None], capsys):
    behave(torch="crash")
    assert call(["compare-conventions", "tiny.yaml", "-q", "-b", "torch", "-b", "keras"]) == 3
    assert "Did not finish, native" in capsys.readouterr().out


def test_a_mistake_in_the_file_is_exit_code_2(tiny, capsys):
    assert call(["compare-conventions", "tiny.yaml", "train.convention=natural"]) == 2
    assert "aligned" in capsys.readouterr().err
    assert not (tiny / "results").exists()


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
@pytest.mark.needs_keras
def test_the_defaults_cost_something_and_alignment_does_not(tmp_path):
    """Really trained: the runtimes agree aligned, and differ native by what the ledger tells."""
    (tmp_path / "tiny.yaml").write_text(
        "data: {name: digits}\n"
        "model: {family: mlp, hidden: [8], batch_norm: true, activation: leaky_relu}\n"
        "train: {epochs: 2, batch_size: 128, dtype: float64, optimizer: {name: rmsprop}}\n"
    )
    command = [
        sys.executable,
        "-m",
        "nncompare",
        "compare-conventions",
        "tiny.yaml",
        "--json",
        "-q",
        "--threads",
        "1",
    ]
    command += [
        "-b",
        "torch",
        "-b",
        "tensorflow",
    ]  # Keras has tests of its own
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    document = strict(done.stdout)
    spread = document["spread"]["test_loss"]
    assert spread["aligned"] < 1e-9
    assert spread["native"] > 1e-3
    ledger = {entry["setting"]: entry["values"] for entry in document["ledger"]}
    assert ledger["batch_norm epsilon"] == {"torch": "1e-05", "tensorflow": "0.001"}
    assert ledger["leaky_relu slope"] == {"torch": "0.01", "tensorflow": "0.2"}
    assert ledger["optimizer lr"] == {"torch": "0.01", "tensorflow": "0.001"}
    rates = {
        row["runtime"]: row["native"]["history"][0]["learning_rate"] for row in document["runtimes"]
    }
    assert rates == {"torch": 0.01, "tensorflow": 0.001}, "the plan has the framework's own rate"
    assert document["parity"]["status"] == "certified"
