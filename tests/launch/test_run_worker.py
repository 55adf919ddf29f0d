"""One worker to its end, and several of a check: real processes that follow a script."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from nncompare.launch import run_worker as module
from nncompare.launch.check import CheckTask, check_all
from nncompare.launch.run_worker import run_worker
from nncompare.spec.runtimes import CATALOG
from nncompare.wire import job_folder
from nncompare.wire.messages import CheckProgress, WorkerWord
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import PerturbedRequest, ProbeRequest
from tests.wire.examples import job

PRELUDE = """
import argparse, os, sys, time
from nncompare.wire.connection import worker_end
from nncompare.wire.messages import CheckProgress, End, Imported
parser = argparse.ArgumentParser()
parser.add_argument("folder"); parser.add_argument("--wire", type=int)
parser.add_argument("--parent", type=int)
asked = parser.parse_args()
wire = worker_end(asked.wire)
print("printed", flush=True)
"""
Play = Callable[[str], None]


class Ear:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, WorkerWord]] = []

    def message(self, runtime: str, message: WorkerWord) -> None:
        self.heard.append((runtime, message))


class Impatient(Ear):
    """Presses Ctrl-C at the first message."""

    def message(self, runtime: str, message: WorkerWord) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Play:
    """Workers that follow a script in place of the job."""
    monkeypatch.setitem(CATALOG, "torch", replace(CATALOG["torch"], needs=()))
    monkeypatch.setitem(CATALOG, "tensorflow:xla", replace(CATALOG["tensorflow:xla"], needs=()))

    def script(body: str) -> None:
        path = tmp_path / "script.py"
        path.write_text(PRELUDE + body)
        monkeypatch.setattr(
            module, "worker_command", lambda *arguments: [sys.executable, str(path), *arguments]
        )

    return script


SAYS_OK = 'wire.send(Imported(versions={"torch": "9"})); wire.send(End(status="ok"))'
ENDS_BADLY = 'wire.send(End(status="{status}", reason="because"))'
NEVER_ENDS = 'wire.send(Imported(versions={"torch": "9"})); time.sleep(600)'


def ask(folder: Path, timeout_s: float = 30, **settings: object) -> Outcome:
    request = ProbeRequest(runtime="torch")
    return run_worker(request, folder, timeout_s=timeout_s, **settings)  # type: ignore[arg-type]


def test_what_a_worker_said_is_its_outcome(play: Play, tmp_path: Path) -> None:
    play(SAYS_OK)
    ear = Ear()
    outcome = ask(tmp_path / "job", listener=ear, label="torch float64")
    assert (outcome.status, outcome.versions, outcome.log) == ("ok", {"torch": "9"}, None)
    assert [(label, message.kind) for label, message in ear.heard] == [
        ("torch float64", "imported"),
        ("torch float64", "end"),
    ]
    assert job_folder.read(tmp_path / "job") == ProbeRequest(runtime="torch")
    assert (tmp_path / "job" / job_folder.LOG_FILE).read_text() == "printed\n"


def test_a_missing_framework_starts_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(CATALOG, "torch", replace(CATALOG["torch"], needs=("no_such_module",)))
    monkeypatch.setattr(module, "worker_command", lambda *_: pytest.fail("a process was started"))
    outcome = ask(tmp_path / "job")
    assert outcome.status == "refused"
    assert "no_such_module" in (outcome.reason or "")
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("status", "has_log"),
    [("failed", True), ("out of memory", True), ("refused", False), ("diverged", False)],
)
def test_the_log_is_shown_where_it_may_tell_more(
    play: Play, tmp_path: Path, status: str, has_log: bool
) -> None:
    play(ENDS_BADLY.format(status=status))
    outcome = ask(tmp_path)
    assert (outcome.status, outcome.reason) == (status, "because")
    assert outcome.log == ("printed" if has_log else None)


def test_what_nobody_understands_is_a_failed_outcome(play: Play, tmp_path: Path) -> None:
    play('wire.connection.send_bytes(b\'{"kind": "hello"}\'); time.sleep(600)')
    outcome = ask(tmp_path)
    assert outcome.status == "failed"
    assert "'hello'" in (outcome.reason or "")
    assert outcome.log == "printed"


def test_a_time_out_names_the_setting_where_there_is_one(play: Play, tmp_path: Path) -> None:
    play(NEVER_ENDS)
    outcome = ask(tmp_path, timeout_s=2.0)
    assert (outcome.status, outcome.reason) == ("timed out", "no result within 2 s")
    outcome = ask(tmp_path, timeout_s=2.0, timeout_setting="measure.timeout_s")
    assert outcome.reason == "no result within 2 s (measure.timeout_s)"
    assert outcome.log is not None


def test_ctrl_c_ends_the_worker_and_keeps_what_a_training_said(play: Play, tmp_path: Path) -> None:
    play(NEVER_ENDS)
    outcome = ask(tmp_path, listener=Impatient(), keep_interrupted=True)
    assert (outcome.status, outcome.reason) == ("interrupted", "stopped by the user")
    assert outcome.versions == {"torch": "9"}
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, listener=Impatient())
    assert not [child for child in psutil.Process().children() if child.status() != "zombie"]


class TestCheckAll:
    def tasks(self, folder: Path, number: int) -> list[CheckTask]:
        return [
            CheckTask(job=job(), folder=folder / str(k), data=folder, steps=5)
            for k in range(number)
        ]

    def test_every_task_has_its_outcome(self, play: Play, tmp_path: Path) -> None:
        play('wire.send(CheckProgress(what="x", done=1, of=2)); wire.send(End(status="ok"))')
        tasks = self.tasks(tmp_path, 3)
        tasks[2] = replace(tasks[2], perturbed=True)
        ear = Ear()
        found = {
            task.folder.name: outcome.status
            for task, outcome in check_all(tasks, parallel=2, timeout_s=30, listener=ear)
        }
        assert found == {"0": "ok", "1": "ok", "2": "ok"}
        labels = {label for label, said in ear.heard if isinstance(said, CheckProgress)}
        assert labels == {"tensorflow:xla float32", "tensorflow:xla perturbed"}
        assert isinstance(job_folder.read(tmp_path / "2"), PerturbedRequest)

    def test_leaving_early_ends_the_workers_and_starts_no_more(
        self, play: Play, tmp_path: Path
    ) -> None:
        play('if asked.folder.endswith("0"): wire.send(End(status="ok"))\nelse: time.sleep(600)')
        begun = time.monotonic()
        for task, _ in check_all(self.tasks(tmp_path, 4), parallel=2, timeout_s=60, listener=Ear()):
            assert task.folder.name == "0"
            break
        assert time.monotonic() - begun < 30
        assert not (tmp_path / "3" / job_folder.JOB_FILE).exists()
        assert not [child for child in psutil.Process().children() if child.status() != "zombie"]
