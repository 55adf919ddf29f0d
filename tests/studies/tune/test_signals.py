"""Signals in the last seconds of a search: whatever is finished is stored and shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import fake_worker
from tests.running import ROOT

CONFIG = """\
name: small
data: {name: digits}
model: {family: mlp, hidden: [8]}
train: {epochs: 2, batch_size: 128, optimizer: {name: adam, lr: 0.01}}
backends: [torch, keras]
tune:
  trials: 3
  sampler: random
  confirm: {top: 1, seeds: 3}
  parameters:
    train.optimizer.lr: {min: 0.0001, max: 0.1, log: true}
"""
DRIVE = [sys.executable, "-m", "tests.fake_worker", "--drive"]


def started(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    """A search whose trials take half a second each."""
    (folder / "small.yaml").write_text(CONFIG)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        fake_worker.VARIABLE: json.dumps({"torch": "slow", "keras": "slow"}),
    }
    return subprocess.Popen(
        [*DRIVE, "tune", "small.yaml", *overrides],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Reads progress until a line with these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    pytest.fail(f"it ended without {words!r}")


def check_all_is_there(folder: Path, shown: str, trials: int) -> None:
    (result,) = (folder / "results").iterdir()
    assert {"best.yaml", "trials.csv", "result.json", "report.html"} <= set(os.listdir(result))
    record = json.loads((result / "result.json").read_text())
    assert [trial["state"] for trial in record["trials"][:trials]] == ["complete"] * trials
    assert record["best"] is not None
    assert "Best parameters" in shown
    assert f"nncompare tune --resume results/{result.name}" in shown
    assert "Traceback" not in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "number"),
    [(1, signal.SIGINT), (5, signal.SIGINT), (1, signal.SIGTERM)],
)
def test_half_a_second_after_the_last_trial_all_trials_are_stored_and_shown(
    tmp_path: Path, count: int, number: int
) -> None:
    process = started(tmp_path)
    wait_for(process, "trial 2 (3 of 3) complete")
    time.sleep(0.5)
    for _ in range(count):
        process.send_signal(number)
        time.sleep(0.05)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    check_all_is_there(tmp_path, out + err, 3)


def test_while_the_result_is_stored_nothing_is_cut_off(tmp_path: Path) -> None:
    """One backend: there is no confirmation, so that it is stored at once."""
    process = started(tmp_path, "backends=[torch]")
    wait_for(process, "trial 2 (3 of 3) complete")
    for _ in range(100):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
        if process.poll() is not None:
            break
    out, err = process.communicate(timeout=60)
    # the last one may come when all is over and the interpreter itself leaves
    assert process.returncode in (130, -signal.SIGINT)
    check_all_is_there(tmp_path, out + err, 3)


@pytest.mark.slow
def test_in_the_midst_of_a_trial_those_before_it_are_stored_and_shown(tmp_path: Path) -> None:
    process = started(tmp_path)
    wait_for(process, "trial 0 (1 of 3) complete")
    for _ in range(5):
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    check_all_is_there(tmp_path, out + err, 1)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(20))
def test_at_any_instant_nothing_that_is_finished_is_lost(tmp_path: Path, place: int) -> None:
    process = started(tmp_path)
    wait_for(process, "torch: ")
    time.sleep(0.3 * place)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err
    assert process.returncode == (0 if "confirmation 6 of 6" in err and "\n" in out else 130)
    done = err.count(") complete")
    if done:
        check_all_is_there(tmp_path, out + err, done)
