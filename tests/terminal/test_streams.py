"""Commands whose standard streams are closed, full, without a reader, hung up, narrow or ASCII."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from nncompare.errors import ExitCode
from tests.running import ROOT, TINY, stored
from tests.terminal.forked import Streams, as_json

Answer = tuple[int, str, str]
"""Exit code, standard output, standard error."""

COMMANDS = {
    ("--help",): 0,
    ("run", "--help"): 0,
    ("list",): 0,
    ("lst",): 2,
    ("validate", "tiny.yaml"): 0,
    ("validate", "tiny.yaml", "missing.yaml"): 2,
    ("show", "tiny.yaml", "--json"): 0,
    ("show", "tiny.yaml"): 0,
    ("run", "tiny.yaml", "--dry-run", "-b", "torch"): 0,
    ("run", "tiny.yaml", "trian.epochs=3"): 2,
    ("schema",): 0,
    ("data", "fetch", "digits"): 0,
}
"""Cheap command lines -> the exit code that they have where all can be read."""
STREAMS = {
    "no stdin": Streams(closed=[0]),
    "no stdout": Streams(closed=[1]),
    "no stderr": Streams(closed=[2]),
    "no stream": Streams(closed=[0, 1, 2]),
    "full stdout": Streams(to={"1": "/dev/full"}, lost=ExitCode.NOT_FINISHED),
    "full stderr": Streams(to={"2": "/dev/full"}),
    "reader gone": Streams(gone=[1], lost=ExitCode.BROKEN_PIPE),
    "both readers gone": Streams(gone=[1, 2], lost=ExitCode.BROKEN_PIPE),
    "no columns": Streams(variables={"COLUMNS": "0", "LINES": "0"}),
    "columns that are no number": Streams(variables={"COLUMNS": "²"}),
    "hardly a column": Streams(variables={"COLUMNS": "3"}),
    "ascii": Streams(variables={"PYTHONIOENCODING": "ascii"}),
    "dumb": Streams(variables={"TERM": "dumb", "NO_COLOR": "1"}),
}
FAULTS = ("Traceback", "Exception ignored")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[tuple[str, ...], Answer]]:
    """Of every command on every kind of streams."""
    folder = tmp_path_factory.mktemp("streams")
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    cases = [(name, command) for name in STREAMS for command in COMMANDS]
    finished = subprocess.run(
        [sys.executable, "-m", "tests.terminal.forked"],
        input=json.dumps([(as_json(STREAMS[name]), command) for name, command in cases]),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, dict[tuple[str, ...], Answer]] = {name: {} for name in STREAMS}
    for (name, command), answer in zip(cases, json.loads(finished.stdout), strict=True):
        found[name][command] = answer
    return found


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("name", STREAMS)
def test_every_command_ends_with_its_code_and_without_a_traceback(
    name: str, answers: dict[str, dict[tuple[str, ...], Answer]]
) -> None:
    streams = STREAMS[name]
    for command, expected in COMMANDS.items():
        code, out, err = answers[name][command]
        # what stands on stderr alone cannot be lost
        speaks = command[0] != "data"
        assert code == (expected or (streams.lost if speaks else 0)), (command, code, err)
        assert not any(word in err for word in FAULTS), err
        if streams.readable and speaks and not expected:
            assert len(out.strip()) > 20, command
        if streams.lost == ExitCode.NOT_FINISHED and speaks and not expected:
            assert err == "error: the output could not be written: No space left on device\n"


def test_json_keeps_its_characters_in_ascii(
    answers: dict[str, dict[tuple[str, ...], Answer]],
) -> None:
    """A question mark would be another text."""
    plain = answers["ascii"]["schema",][1]
    assert plain.isascii()
    assert json.loads(plain) == json.loads(answers["no stdin"]["schema",][1])
    assert any(ord(letter) > 127 for letter in answers["no stdin"]["schema",][1])


def _drive(folder: Path, *arguments: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    drive = [sys.executable, "-m", "tests.fake_worker", "--drive"]
    return [*drive, "run", "tiny.yaml", "-b", "torch", *arguments]


def test_a_run_is_stored_whoever_reads(tiny: Path) -> None:
    """In a fresh Python, which has no object for a closed stream."""
    started = {}
    for name in ("no stream", "full stdout"):
        started[name] = subprocess.Popen(
            _drive(tiny / name),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=tiny / name,
            preexec_fn=STREAMS[name].connect,
        )
    for name, process in started.items():
        assert process.wait(60) == STREAMS[name].lost
        assert stored(tiny / name)["runtimes"][0]["status"] == "ok"


def test_a_terminal_that_hangs_up_costs_nothing(tiny: Path) -> None:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        _drive(tiny),
        stdin=child,
        stdout=child,
        stderr=child,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tiny,
    )
    os.close(child)
    os.read(parent, 1)  # the display has begun
    os.close(parent)
    assert process.wait(60) == ExitCode.NOT_FINISHED
    assert stored(tiny)["runtimes"][0]["status"] == "ok"
