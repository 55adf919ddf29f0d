"""Worker processes and what can happen to them: real processes, no framework."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from nncompare.errors import Failed, MessageError, TimedOut
from nncompare.launch.environment import worker_environment
from nncompare.launch.process import WorkerProcess
from nncompare.launch.resources import cpu_quota, killed_for_memory, usable_threads
from nncompare.wire.messages import End, Stop

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import argparse, os, sys, time
from nncompare.wire.connection import Inbox, die_with_parent, worker_end
from nncompare.wire.messages import CheckProgress, End, Slices
from nncompare.wire.slice import Slice
parser = argparse.ArgumentParser()
parser.add_argument("--wire", type=int); parser.add_argument("--parent", type=int)
asked = parser.parse_args()
wire = worker_end(asked.wire)


def count(number):
    # a number that the parent reads
    wire.send(CheckProgress(what="counts", done=number, of=9))
"""


def start(tmp_path: Path, body: str) -> WorkerProcess:
    """A worker that runs ``body`` instead of a job."""
    script = tmp_path / "worker.py"
    script.write_text(PRELUDE + textwrap.dedent(body))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return WorkerProcess(
        [sys.executable, str(script)], environment, tmp_path / "logs" / "worker.log"
    )


def test_messages_arrive_in_order_until_the_last_word(tmp_path):
    worker = start(tmp_path, 'count(1); count(2); wire.send(End(status="ok"))')
    first, second, last = worker.messages(30)
    assert (first.kind, first.done, second.done) == ("progress", 1, 2)
    assert last == End(status="ok")
    worker.close()


def test_garbage_on_stdout_and_stderr_goes_to_the_log_and_not_to_the_wire(tmp_path, capfd):
    worker = start(
        tmp_path,
        """
        print("noise", flush=True); os.write(2, b"\\x00\\xffbinary noise\\n")
        wire.send(End(status="ok"))
        """,
    )
    assert [message.kind for message in worker.messages(30)] == ["end"]
    worker.close()
    assert "noise" in worker.tail()
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_numbers_that_json_lacks_arrive_as_null(tmp_path):
    worker = start(
        tmp_path,
        """
        phase = {"epoch": 1, "begin": 0, "end": 1, "phase": "first"}
        for loss in (float("nan"), float("inf")):
            wire.send(Slices(slices=(Slice(seconds=1.5, loss=loss, **phase),)))
        wire.send(End(status="ok"))
        """,
    )
    *said, _ = worker.messages(30)
    assert [message.slices[0].loss for message in said] == [None, None]
    assert said[0].slices[0].seconds == 1.5
    worker.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind": "hello"}', "'hello'"),
        ('{"kind": "end", "status": "fine"}', "end.status"),
        ('{"kind": "go"}', "'go'"),
        ("hello", "JSON"),
    ],
)
def test_what_nobody_understands_fails_the_worker_with_its_name(tmp_path, text, words):
    worker = start(tmp_path, f"wire.connection.send_bytes({text!r}.encode()); time.sleep(60)")
    with pytest.raises(MessageError, match=words):
        list(worker.messages(30))
    worker.close()


def test_a_worker_that_does_not_understand_its_parent_says_so_and_ends(tmp_path):
    worker = start(tmp_path, "Inbox(wire); time.sleep(60)")
    worker._wire.connection.send_bytes(b'{"kind": "hurry"}')
    (end,) = worker.messages(30)
    assert (end.kind, end.status) == ("end", "failed")
    assert "'hurry'" in end.reason
    assert worker.process.wait(10) == MessageError.exit_code
    worker.close()


def test_a_killed_worker_is_a_crash_with_its_signal(tmp_path):
    worker = start(tmp_path, "count(1); time.sleep(60)")
    messages = worker.messages(30)
    next(messages)
    worker.process.send_signal(signal.SIGKILL)
    with pytest.raises(Failed, match="signal 9, SIGKILL"):
        next(messages)
    worker.close()


def test_a_worker_that_exits_early_says_so_with_its_code(tmp_path):
    worker = start(tmp_path, 'sys.stderr.write("boom\\n"); sys.exit(3)')
    with pytest.raises(Failed, match="code 3"):
        list(worker.messages(30))
    worker.close()
    assert worker.tail() == "boom"


def test_a_worker_that_closes_its_wire_and_lives_on_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("nncompare.launch.process.TERMINATE_S", 0.5)
    worker = start(tmp_path, "count(1); wire.close(); time.sleep(600)")
    assert worker.receive().done == 1
    with pytest.raises(Failed, match="closed its wire"):
        worker.receive()
    worker.close()
    assert worker.process.returncode == -signal.SIGKILL


def test_a_hanging_worker_that_ignores_term_is_ended_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr("nncompare.launch.process.TERMINATE_S", 0.5)
    worker = start(
        tmp_path,
        """
        import signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        count(child.pid)
        time.sleep(60)
        """,
    )
    child = worker.receive().done
    with pytest.raises(TimedOut, match=r"no result within 2 s \(measure.timeout_s\)"):
        next(worker.messages(2, setting="measure.timeout_s"))
    worker.close()
    assert worker.process.returncode == -signal.SIGKILL
    until = time.monotonic() + 10  # it has its signal, but a busy machine may not have ended it yet
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_credits_let_exactly_so_many_slices_run(tmp_path):
    worker = start(
        tmp_path,
        """
        inbox = Inbox(wire)
        done = 0
        while inbox.permit():
            done += 1
            count(done)
        wire.send(End(status="ok", reason=str(done)))
        """,
    )
    messages = worker.messages(30)
    worker.go(2)
    assert [next(messages).done, next(messages).done] == [1, 2]
    worker.go(1)
    assert next(messages).done == 3
    worker.send(Stop())
    assert next(messages) == End(status="ok", reason="3")
    worker.close()


def test_a_suspended_worker_uses_no_processor_and_goes_on(tmp_path):
    worker = start(
        tmp_path,
        """
        count(0)
        begun = time.perf_counter()
        while time.perf_counter() - begun < 1.0:
            pass
        wire.send(End(status="ok"))
        """,
    )
    messages = worker.messages(30)
    next(messages)
    worker.suspend()
    process = psutil.Process(worker.process.pid)
    time.sleep(0.05)
    before = process.cpu_times().user
    time.sleep(0.2)
    assert process.cpu_times().user == before
    worker.resume()
    assert next(messages).kind == "end"
    worker.close()


@pytest.mark.parametrize("suspended", [False, True])
def test_a_dead_parent_leaves_no_worker(tmp_path, suspended):
    script = tmp_path / "worker.py"
    script.write_text(
        PRELUDE + "die_with_parent(asked.parent); Inbox(wire); count(os.getpid())\n"
        "while True: time.sleep(1)\n"
    )
    parent = f"""
import os, sys, time
from pathlib import Path
from nncompare.launch.process import WorkerProcess
worker = WorkerProcess([sys.executable, {str(script)!r}], dict(os.environ), Path({str(tmp_path / "log")!r}))
print(next(worker.messages(30)).done, flush=True)
{"worker.suspend()" if suspended else ""}
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, env=environment, timeout=60
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker outlived its parent by five seconds"
        time.sleep(0.05)


def test_the_environment_is_complete_before_the_start(tmp_path):
    made = worker_environment(
        "keras",
        threads=3,
        device="cpu",
        deterministic=True,
        home=tmp_path,
        temporary=tmp_path / "tmp",
        inherited={"PATH": "/bin", "TMPDIR": "/var/tmp"},
    )
    assert made["TMPDIR"] == made["TMP"] == made["TEMP"] == str(tmp_path / "tmp")
    assert made["OMP_NUM_THREADS"] == made["TF_NUM_INTRAOP_THREADS"] == "3"
    assert made["KERAS_BACKEND"] == "tensorflow"
    assert made["KERAS_HOME"].startswith(str(tmp_path))
    assert made["CUDA_VISIBLE_DEVICES"] == "-1"
    assert made["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert made["PATH"] == "/bin"
    fast = worker_environment(
        "torch",
        threads=1,
        device="auto",
        deterministic=False,
        home=tmp_path,
        temporary=tmp_path,
        inherited={},
    )
    assert "CUDA_VISIBLE_DEVICES" not in fast


def test_threads_follow_a_fractional_quota(tmp_path):
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cpu_quota(tmp_path) == 1.5
    assert usable_threads(root=tmp_path) == 1
    assert usable_threads(8, root=tmp_path) == 1


def test_threads_without_a_quota_follow_the_request(tmp_path):
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cpu_quota(tmp_path) is None
    assert usable_threads(1, root=tmp_path) == 1


def test_the_first_version_of_control_groups_is_read_too(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("50000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert cpu_quota(tmp_path) == 0.5
    assert usable_threads(root=tmp_path) == 1


def test_kernel_kills_are_counted(tmp_path):
    assert killed_for_memory(tmp_path) == 0
    (tmp_path / "memory.events").write_text("low 0\nhigh 2\noom 1\noom_kill 3\n")
    assert killed_for_memory(tmp_path) == 3
