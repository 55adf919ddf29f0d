"""A worker from its arguments to its last word, by hand: messages are printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nncompare.errors import Failed
from nncompare.wire import job_folder
from nncompare.wire.requests import (
    CheckRequest,
    PerturbedRequest,
    ProbeRequest,
    Request,
    ServeTrialsRequest,
    TrainRequest,
    TrialRequest,
)
from nncompare.worker import importing
from nncompare.worker.entry import main
from tests.wire.examples import derivative
from tests.worker.scripted import ScriptedBackend, data, job

ROOT = Path(__file__).resolve().parents[2]


def replay(
    folder: Path, request: Request, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the printed messages."""
    job_folder.write(folder, request)
    code = main([str(folder)])
    lines = capsys.readouterr().out.splitlines()
    return code, [json.loads(line) for line in lines]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With data, and a backend in NumPy."""
    data().save(tmp_path / "data")
    monkeypatch.setattr(importing, "load_backend", lambda name: ScriptedBackend())
    return tmp_path


def test_a_training_is_replayed_to_its_end(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = TrainRequest(job=job(), data=folder / "data")
    code, said = replay(folder, request, capsys)
    assert code == 0
    assert [said[0]["kind"], said[1]["kind"]] == ["imported", "built"]
    assert said[-1] == {"kind": "end", "status": "ok", "reason": None}
    assert [word["figures"]["epoch"] for word in said if word["kind"] == "epoch"] == [1, 2, 3, 4]


def test_a_judged_trial_is_replayed_without_a_judge(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = TrialRequest(job=job(), data=folder / "data", judged=True, parts=("validation",))
    code, said = replay(folder, request, capsys)
    assert code == 0
    (result,) = (word for word in said if word["kind"] == "result")
    assert result["final"]["val_loss"] is not None
    assert result["final"]["test_loss"] is None


@pytest.mark.parametrize("kind", [CheckRequest, PerturbedRequest])
def test_a_check_is_replayed_and_leaves_its_observation(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: type[CheckRequest]
) -> None:
    request = kind(job=job(), data=folder / "data", steps=4)
    code, said = replay(folder, request, capsys)
    assert (code, said[-1]["status"]) == (0, "ok")
    assert "progress" in {word["kind"] for word in said}
    assert (folder / "observation.npz").exists()


def test_a_probe_says_versions_and_devices(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = replay(folder, ProbeRequest(runtime="torch"), capsys)
    assert code == 0
    assert [word["kind"] for word in said] == ["imported", "probed", "end"]
    assert said[1]["devices"] == [{"kind": "cpu", "id": "cpu", "name": "NumPy"}]


def test_a_formula_goes_to_its_backend(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "nncompare.worker.derivatives.answer", lambda request, send: asked.append(request)
    )
    code, _ = replay(folder, derivative("float64"), capsys)
    assert code == 0
    assert [request.runtime for request in asked] == ["keras:xla"]


def test_a_server_of_trials_names_what_can_be_replayed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ServeTrialsRequest(runtime="torch", threads=1, device="cpu")
    code, said = replay(folder, request, capsys)
    assert code == Failed.exit_code
    assert "replay one of them by its own folder" in said[-1]["reason"]


def test_a_folder_that_holds_no_job_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"kind": "dance"}')
    done = subprocess.run(
        [sys.executable, "-m", "nncompare.worker", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert done.returncode == Failed.exit_code
    end = json.loads(done.stdout)
    assert end["status"] == "failed"
    assert "'dance'" in end["reason"]
    assert done.stderr == ""
