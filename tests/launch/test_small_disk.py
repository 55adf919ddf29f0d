"""A temporary disk without room: what has no room is named, with the way to another place."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nncompare.cli import call
from nncompare.launch import scratch
from nncompare.wire import job_folder
from tests.running import stored

ELSEWHERE = "free some space, or choose another {} with TMPDIR=DIR"


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def cut_short(*_: object, **__: object) -> None:
    # what NumPy says of it
    raise OSError("1939616 requested and 552928 written")


@pytest.mark.parametrize("command", ["run", "verify"])
@pytest.mark.parametrize("failure", [full, cut_short])
def test_prepared_data_without_room_are_named(
    failure: Callable[..., None],
    command: str,
    tiny: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(np, "save", failure)
    assert call([command, "tiny.yaml"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: cannot write the prepared data (")
    assert message.endswith(ELSEWHERE.format("temporary folder"))
    assert list((tiny / "results").iterdir()) == []


def test_no_room_for_the_folder_itself(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch.tempfile, "mkdtemp", full)
    assert call(["run", "tiny.yaml"]) == 2
    assert ELSEWHERE.format("disk") in capsys.readouterr().err
    assert list((tiny / "results").iterdir()) == []


def test_a_job_without_room_is_a_row_with_its_reason(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_folder, "write", full)
    assert call(["run", "tiny.yaml", "-b", "torch"]) == 3
    (row,) = stored(tiny)["runtimes"]
    assert row["status"] == "failed"
    assert row["reason"].endswith(ELSEWHERE.format("disk"))
