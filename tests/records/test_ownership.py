"""Folders of killed processes are told from those in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nncompare.launch.scratch import PREFIX, scratch_folder
from nncompare.records import ownership
from nncompare.records.folder import create
from nncompare.records.ownership import OWNER_FILE, Ownership, taken_over
from tests.running import ROOT

LEAVES = """
import os, sys
from pathlib import Path
from nncompare.records.ownership import Ownership
for name in sys.argv[1:]:
    Path(name).mkdir()
    Ownership(Path(name))
    (Path(name) / "data").mkdir()
    (Path(name) / "data" / "x.npy").write_text("x")
os._exit(9)
"""


def left(*folders: Path) -> None:
    """Folders whose process has died with them."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", LEAVES, *map(str, folders)], env=environment)


def is_abandoned(folder: Path) -> bool:
    with taken_over(folder) as found:
        return found


def test_only_a_dead_process_of_this_host_has_left_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = tmp_path / "dead"
    left(dead)
    assert is_abandoned(dead)
    living = tmp_path / "living"
    living.mkdir()
    owner = Ownership(living)
    assert not is_abandoned(living)
    owner.release()
    assert is_abandoned(living)
    unknown = tmp_path / "unknown"
    unknown.mkdir()
    assert not is_abandoned(unknown)
    link = tmp_path / "link"
    link.symlink_to(dead)
    assert not is_abandoned(link)
    with taken_over(dead) as mine:
        assert mine
        assert not is_abandoned(dead)
    monkeypatch.setattr(ownership.platform, "node", lambda: "another-host")
    assert not is_abandoned(dead)


def test_a_file_system_without_locks_is_never_cleared_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(ownership.errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(ownership.fcntl, "flock", refuse)
        owner = Ownership(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not is_abandoned(tmp_path)
    owner.release()


def test_the_next_temporary_folder_removes_those_that_were_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / f"{PREFIX}dead"
    other = tmp_path / "other"
    left(dead, other)
    (tmp_path / f"{PREFIX}notes").mkdir()
    with scratch_folder() as outer:
        with scratch_folder() as inner:
            assert inner != outer
        assert outer.exists()
        assert not inner.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}notes", "other"]


def test_the_next_result_publishes_what_is_finished_and_removes_the_rest(tmp_path: Path) -> None:
    whole = tmp_path / ".a-1.partial"
    half = tmp_path / ".a-2.partial"
    left(whole, half)
    (whole / "result.json").write_text("{}")
    (tmp_path / ".a-3.partial").mkdir()
    said: list[str] = []
    with create(tmp_path, "b", say=said.append):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a-3.partial", "a-1"]
    assert not (tmp_path / "a-1" / OWNER_FILE).exists()
    assert said == [f"kept what a killed process had finished: {tmp_path / 'a-1'}"]
