"""``nncompare run`` with workers that train nothing: what is printed, stored and returned, whatever
happens.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import nncompare
from nncompare.cli import call
from nncompare.config.load import load
from nncompare.errors import StoreError
from nncompare.launch.resources import usable_threads
from nncompare.records.folder import ResultFolder
from nncompare.spec.runtimes import CATALOG
from nncompare.studies.run import study
from nncompare.studies.run.record import RunRecord
from tests import fake_worker
from tests.running import CONTROL, PROGRESS, ROOT, THREE, files, stored, strict


class TestOutput:
    def test_tables_on_stdout_and_progress_on_stderr(
        self, tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert call(["run", "tiny.yaml"]) == 0
        output = capsys.readouterr()
        for words in (
            "Fastest: ",
            "Learning",
            "Loss by epoch",
            "Time",
            "Settings that differ",
            "stored in",
        ):
            assert words in output.out
        assert all(re.search(rf"^{runtime} +cpu", output.out, re.MULTILINE) for runtime in THREE)
        assert all(PROGRESS.fullmatch(line) for line in output.err.splitlines())
        assert "keras: epoch 3/3: train loss 0.6667" in output.err
        assert fake_worker.NOISE not in output.out + output.err

    @pytest.mark.parametrize("command", ["run", "tune", "compare-conventions"])
    def test_a_command_speaks_before_it_works(
        self, command: str, tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = "prepares the data of tiny.yaml"
        search = ["tune={trials: 1, parameters: {train.optimizer.lr: [0.01, 0.1]}}"]
        more = search if command == "tune" else []
        call([command, "tiny.yaml", "-b", "torch", *more])
        assert capsys.readouterr().err.splitlines()[0] == told
        call([command, "tiny.yaml", "-b", "torch", *more, "-q"])
        assert told not in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["run", "verify", "tune", "compare-conventions"])
    def test_a_mistake_is_one_message_with_nothing_before_it(
        self, command: str, tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert call([command, "missing.yaml"]) == 2
        assert capsys.readouterr().err.startswith("missing.yaml: there is no such file")

    @pytest.mark.parametrize("options", [["--threads", "99"], ["measure.threads=99"]])
    def test_fewer_threads_than_asked_for_are_told(
        self, options: list[str], tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert call(["run", "tiny.yaml", "-b", "torch", *options]) == 0
        output = capsys.readouterr()
        usable = usable_threads()
        assert f"measure.threads: 99 asked for, but this process may use {usable}" in output.err
        told = f"threads {usable} per runtime: all that this process could use"
        assert told in " ".join(output.out.split())
        assert call(["run", "tiny.yaml", "-b", "torch", "--dry-run", *options]) == 0
        assert told in " ".join(capsys.readouterr().out.split())

    def test_a_pipe_gets_no_control_codes(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert call(["run", "tiny.yaml"]) == 0
        output = capsys.readouterr()
        assert CONTROL.search(output.out + output.err) is None
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert call(["run", "tiny.yaml"]) == 0
        coloured = "".join(capsys.readouterr())
        assert "\x1b[1m" in coloured
        # colours, but nothing moves the cursor
        assert re.search(r"\x1b\[[0-9;?]*[A-Za-ln-z]|\r", coloured) is None

    def test_json_is_the_stored_document_and_all_else_goes_to_stderr(
        self, tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert call(["run", "tiny.yaml", "--json"]) == 0
        output = capsys.readouterr()
        document = strict(output.out)
        assert document == stored(tiny)
        assert (document["kind"], document["schema_version"], document["name"]) == (
            "run",
            1,
            "tiny",
        )
        assert [row["runtime"] for row in document["runtimes"]] == list(THREE)
        assert "Fastest: " in output.err

    def test_options_and_overrides_reach_the_experiment(
        self, tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = [
            "-b",
            "torch,keras",
            "--seed",
            "7",
            "--threads",
            "1",
            "--device",
            "cpu",
            "--output",
            "elsewhere",
        ]
        assert (
            call(["run", "tiny.yaml", "model.hidden=[5]", "train.optimizer.lr=3e-4", *options]) == 0
        )
        (folder,) = (tiny / "elsewhere").iterdir()
        again = load(folder / "experiment.yaml")
        assert (again.backends, again.train.seed, again.measure.threads) == (
            ("torch", "keras"),
            7,
            1,
        )
        assert (again.measure.device, again.model.hidden, again.train.optimizer.lr) == (
            "cpu",
            (5,),
            3e-4,
        )
        assert not (tiny / "results").exists()

    def test_quiet_has_tables_and_no_progress(
        self, tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert call(["run", "tiny.yaml", "-q"]) == 0
        output = capsys.readouterr()
        assert ("Learning" in output.out, output.err) == (True, "")

    def test_verbose_says_every_epoch_and_every_file(
        self, tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert call(["run", "tiny.yaml", "-v"]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert [line.partition(":")[0] for line in lines if ": epoch 2/3:" in line] == list(THREE)
        paths = {
            Path(line.removeprefix("stored: ")) for line in lines if line.startswith("stored: ")
        }
        assert paths == {
            path.relative_to(tiny) for path in files(tiny / "results") if path.is_file()
        }
        assert {path.name for path in paths} >= {"result.json", "torch.log"}

    @pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
    @pytest.mark.parametrize("columns", [80, 120])
    def test_a_terminal_is_drawn_on_and_left_clean(self, tiny: Path, columns: int) -> None:
        text = on_a_terminal(tiny, columns, "run", "tiny.yaml")
        assert "runtime 2 of 3" in text  # the bar over the others
        assert fake_worker.NOISE not in text
        assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0  # the cursor is back
        tables = re.sub(r"\x1b\[[0-9;?]*[a-z]", "", text.rpartition("\x1b[?25h")[2]).replace(
            "\r", ""
        )
        assert "Settings that differ" in tables
        assert max(map(len, tables.splitlines())) <= columns


def on_a_terminal(folder: Path, columns: int, *arguments: str) -> str:
    """What the command with fake workers writes to a terminal of this width."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "tests.fake_worker", "--drive", *arguments]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not chunk:
            break
        text += chunk
    os.close(ours)
    assert process.wait(60) == 0
    return text.decode()


class TestFailure:
    def test_ctrl_c_after_the_training_keeps_all_of_it(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stopped(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(study, "run_parity", stopped)
        assert call(["run", "tiny.yaml"]) == 130
        document = stored(tiny)
        assert [row["status"] for row in document["runtimes"]] == ["ok"] * 3
        assert document["parity"]["reason"] == "stopped by the user"
        assert "Fastest: " in capsys.readouterr().out

    def test_a_broken_check_of_parity_costs_no_training(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(study, "run_parity", lambda *_, **__: {}["mark"])
        assert call(["run", "tiny.yaml"]) == 0
        assert stored(tiny)["parity"]["status"] == "not_run"
        assert "the check itself broke: KeyError: 'mark'" in capsys.readouterr().out

    @pytest.mark.parametrize("runtime", ["torch", "keras"])
    def test_a_missing_backend_is_a_row_and_the_others_finish(
        self,
        runtime: str,
        tiny: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setitem(CATALOG, runtime, replace(CATALOG[runtime], needs=("no_such_module",)))
        assert call(["run", "tiny.yaml"]) == 3
        output = capsys.readouterr()
        reason = f"not installed: no_such_module; pip install {CATALOG[runtime].requirements}"
        rows = {row["runtime"]: row for row in stored(tiny)["runtimes"]}
        assert {name: row["status"] for name, row in rows.items()} == {
            name: "refused" if name == runtime else "ok" for name in THREE
        }
        assert rows[runtime]["reason"] == reason
        assert f"refused: {reason}" in output.out
        assert f"{runtime}: refused, {reason}" in output.err

    def test_a_crash_is_a_row_with_the_end_of_its_log(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], behave: Callable[..., None]
    ) -> None:
        behave(tensorflow="crash")
        assert call(["run", "tiny.yaml", "--json"]) == 3
        output = capsys.readouterr()
        document = strict(output.out)
        assert document == stored(tiny)
        assert [row["status"] for row in document["runtimes"]] == ["ok", "failed", "ok"]
        assert (
            document["runtimes"][1]["reason"] == f"crashed (signal {signal.SIGSEGV.value}, SIGSEGV)"
        )
        assert "a last word before the crash" in output.err
        assert CONTROL.search(output.err) is None
        assert set(document["comparison"]["relative"]) == {"torch", "keras"}

    def test_no_runtime_finishes(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], behave: Callable[..., None]
    ) -> None:
        behave(torch="error", keras="crash")
        assert call(["run", "tiny.yaml", "-b", "torch", "-b", "keras"]) == 3
        output = capsys.readouterr().out
        assert "No runtime finished." in output
        assert "ImportError: libfake.so" in output

    def test_what_cannot_be_stored_is_still_printed(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_result = ResultFolder.write_result

        def full(self: ResultFolder, record: RunRecord) -> None:
            # not on the disk of the cache
            if self.path.parent == Path("results"):
                raise StoreError("the disk is full")
            write_result(self, record)

        monkeypatch.setattr(ResultFolder, "write_result", full)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tiny / "cache"))
        assert call(["run", "tiny.yaml"]) == 3
        output = capsys.readouterr()
        assert "Fastest: " in output.out
        (kept,) = (tiny / "cache/nncompare/results").iterdir()
        assert f"error: the disk is full; the result is kept in {kept}" in output.err
        assert nncompare.read(kept).complete
        assert (kept / "logs/torch.log").exists()
        assert list((tiny / "results").iterdir()) == []

    def test_where_no_disk_has_room_the_figures_are_printed(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(ResultFolder, "publish", full)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tiny / "cache"))
        monkeypatch.setattr("tempfile.tempdir", str(tiny / "tmp"))
        (tiny / "tmp").mkdir()
        assert call(["run", "tiny.yaml", "-b", "torch"]) == 3
        output = capsys.readouterr()
        assert "torch" in output.out
        assert "error: the disk is full\n" in output.err
        assert [path for path in tiny.rglob("*") if path.name.startswith(".tiny-")] == []

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
    def test_being_stopped_keeps_what_is_finished(self, number: int, tiny: Path) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            fake_worker.VARIABLE: '{"tensorflow": "hang"}',
        }
        command = [
            sys.executable,
            "-m",
            "tests.fake_worker",
            "--drive",
            "run",
            "tiny.yaml",
            "--json",
        ]
        process = subprocess.Popen(
            command,
            cwd=tiny,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        while "tensorflow: epoch 1/3" not in (line := process.stderr.readline()):
            assert line, "the command ended before its second runtime trained"
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert workers
        assert not any(worker.is_running() for worker in workers)
        document = strict(out)
        assert document == stored(tiny)
        assert [row["status"] for row in document["runtimes"]] == [
            "ok",
            "interrupted",
            "interrupted",
        ]
        assert [len(row["history"]) for row in document["runtimes"]] == [3, 1, 0]
        assert document["runtimes"][2]["reason"] == "not started: the run was stopped"
        assert "torch" in err
        assert "Traceback" not in err
