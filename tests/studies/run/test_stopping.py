"""A run that is stopped at any instant, or killed: what is finished is kept, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import nncompare
from nncompare.cli import call
from nncompare.launch.process import WorkerProcess
from nncompare.records.folder import ResultFolder
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show.result import Stopped
from nncompare.studies.run import study
from nncompare.studies.run.progress import RunProgress
from nncompare.wire.messages import Result, WorkerWord
from tests import fake_worker
from tests.running import ROOT, stored

ONE = ["run", "tiny.yaml", "-b", "torch"]
TWO = [*ONE, "-b", "keras"]


@pytest.fixture
def temporary(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of this process and of those that it starts."""
    folder = tiny / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def then_ctrl_c(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, before: bool) -> None:
    """Has Ctrl-C come before or after a function's work, whenever it is called, three times."""
    real = getattr(owner, name)

    def pressed() -> None:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)

    def both(*arguments: Any, **settings: Any) -> Any:
        if before:
            pressed()
        try:
            return real(*arguments, **settings)
        finally:
            if not before:
                pressed()

    monkeypatch.setattr(owner, name, both)


@pytest.mark.parametrize(
    ("owner", "name", "before"),
    [
        (WorkerProcess, "close", True),
        (RunProgress, "finished", False),
        (study, "run_parity", True),
        (study, "run_parity", False),
        (ResultFolder, "write_history", True),
        (ResultFolder, "publish", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_ctrl_c_around_the_end_loses_nothing(
    owner: Any,
    name: str,
    before: bool,
    tiny: Path,
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    then_ctrl_c(monkeypatch, owner, name, before=before)
    assert call(ONE) == 130
    document = stored(tiny)
    assert [row["status"] for row in document["runtimes"]] == ["ok"]
    assert "stored in" in capsys.readouterr().out
    assert list(temporary.iterdir()) == []
    assert not [child for child in psutil.Process().children() if child.status() != "zombie"]


def test_ctrl_c_while_the_tables_are_printed_shows_all_of_them(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nncompare.terminal import console

    then_ctrl_c(monkeypatch, console, "human", before=False)
    assert call(ONE) == 130
    assert "stored in" in capsys.readouterr().out
    assert stored(tiny)["parity"]["reason"] != "stopped by the user"


def test_ctrl_c_between_two_runtimes_starts_no_second_one(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then_ctrl_c(monkeypatch, RunProgress, "finished", before=False)
    assert call(TWO) == 130
    rows = stored(tiny)["runtimes"]
    assert [row["status"] for row in rows] == ["ok", "interrupted"]
    assert rows[1]["reason"] == "not started: the run was stopped"


def test_ctrl_c_after_the_figures_of_a_runtime_keeps_it_as_finished(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = RunProgress.message

    def message(self: RunProgress, runtime: str, message: WorkerWord) -> None:
        said(self, runtime, message)
        if isinstance(message, Result):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunProgress, "message", message)
    assert call(TWO) == 130
    document = stored(tiny)
    assert [row["status"] for row in document["runtimes"]] == ["ok", "interrupted"]
    assert document["runtimes"][0]["final"]["test_accuracy"] == 0.5
    assert document["parity"]["reason"] == "stopped by the user"


def test_ctrl_c_before_the_first_runtime_stores_nothing(
    tiny: Path, temporary: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    then_ctrl_c(monkeypatch, study, "describe_environment", before=False)
    assert call(ONE) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [*(tiny / "results").iterdir(), *temporary.iterdir()] == []


def test_what_a_runtime_has_done_is_stored_before_the_next_one_starts(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[TrainedRuntime]] = []

    def started(self: RunProgress, runtime: str) -> None:
        for partial in (tiny / "results").glob(".*.partial"):
            if (partial / "result.json").exists():
                rows = nncompare.read(partial).record.runtimes
                seen.append([row for row in rows if row.status == "ok"])

    monkeypatch.setattr(RunProgress, "started", started)
    assert call(TWO) == 0
    assert [[row.runtime for row in rows] for rows in seen] == [["torch"]]


@pytest.mark.parametrize("loud", [True, False])
def test_from_python_it_is_raised_after_storing(
    loud: bool, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then_ctrl_c(monkeypatch, ResultFolder, "publish", before=loud)
    with pytest.raises(KeyboardInterrupt, match="what was finished is stored in") as found:
        nncompare.run("tiny.yaml", "backends=[torch]")
    assert isinstance(found.value, Stopped)
    assert found.value.result.to_dict() == stored(tiny)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def begun(folder: Path, *arguments: str, **behaviour: str) -> subprocess.Popen[str]:
    """The command in a process of its own; TensorFlow's worker hangs."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        fake_worker.VARIABLE: json.dumps({"tensorflow": "hang"} | behaviour),
    }
    command = [sys.executable, "-m", "tests.fake_worker", "--drive", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], words: str) -> list[psutil.Process]:
    """Its workers, once it has said so."""
    assert process.stderr is not None
    while words not in (line := process.stderr.readline()):
        assert line, f"the command ended before {words!r}"
    return psutil.Process(process.pid).children(recursive=True)


def gone(workers: list[psutil.Process]) -> bool:
    """Whether they all end within five seconds."""
    deadline = time.monotonic() + 5
    while any(worker.is_running() and worker.status() != "zombie" for worker in workers):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_what_a_killed_run_leaves_is_cleared_up_by_the_next_one(
    tiny: Path, temporary: Path, behave: Callable[..., None]
) -> None:
    process = begun(tiny, "run", "tiny.yaml")
    workers = wait_for(process, "tensorflow: epoch 1/3")
    (living,) = (tiny / "results").iterdir()
    # another run leaves it alone while its process lives
    assert call([*ONE, "--output", "results"]) == 0
    assert living.exists()
    assert len(list(temporary.iterdir())) == 1
    process.kill()
    process.communicate()
    assert workers
    assert gone(workers)
    assert call([*ONE, "--output", "results"]) == 0
    assert list(temporary.iterdir()) == []
    kept = [nncompare.read(path) for path in (tiny / "results").iterdir()]
    assert sorted(len(result.record.runtimes) for result in kept) == [1, 1, 3]
    (killed,) = (result for result in kept if len(result.record.runtimes) == 3)
    assert [row.status for row in killed.record.runtimes] == ["ok", "interrupted", "interrupted"]
    assert not (Path(killed.folder or "") / ".owner").exists()


@pytest.mark.parametrize(
    "arguments", [["verify", "tiny.yaml"], ["gradcheck", "x**2"], ["doctor"]], ids=lambda it: it[0]
)
def test_kill_ends_a_command_that_stores_nothing_yet(
    arguments: list[str], tiny: Path, temporary: Path
) -> None:
    process = begun(tiny, *arguments, torch="hang")
    while not (workers := psutil.Process(process.pid).children(recursive=True)):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert gone(workers)
    assert list(temporary.iterdir()) == []
    assert list((tiny / "results").glob("*")) == []


def test_kill_keeps_what_a_comparison_of_conventions_has_trained(
    tiny: Path, temporary: Path
) -> None:
    process = begun(tiny, "compare-conventions", "tiny.yaml")
    workers = wait_for(process, "tensorflow: epoch 1/3")
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert gone(workers)
    assert list(temporary.iterdir()) == []
    kinds = [nncompare.read(path).record.kind for path in (tiny / "results").iterdir()]
    assert sorted(kinds) == ["conventions", "run"]
