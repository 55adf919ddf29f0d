"""What a search says where something is missing, too much or full."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from nncompare.cli import call
from nncompare.data.base import Data
from nncompare.errors import DataError
from nncompare.launch.resources import usable_threads
from nncompare.spec.runtimes import CATALOG
from nncompare.studies.tune import options, storage
from nncompare.studies.tune.data_store import DataStore
from tests.running import TINY

SECTION = """\
backends: [torch, keras]
tune:
  trials: 4
  sampler: random
  parameters: {train.optimizer.lr: {min: 0.0001, max: 0.1, log: true}}
"""


@pytest.fixture
def small(tiny: Path) -> Path:
    """A folder with ``small.yaml`` and workers that train nothing."""
    (tiny / "small.yaml").write_text(TINY + SECTION)
    return tiny


def test_a_dry_run_says_what_is_missing_and_is_not_fine(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(runtime: Any) -> str | None:
        return "not installed: keras; pip install it" if runtime is CATALOG["keras"] else None

    monkeypatch.setattr(type(CATALOG["torch"]), "missing", missing)
    assert call(["tune", "small.yaml", "--dry-run"]) == 3
    assert "PROBLEM keras: not installed: keras; pip install it" in capsys.readouterr().out
    assert call(["tune", "small.yaml", "--dry-run", "--json", "-b", "torch,keras"]) == 3
    (reason,) = json.loads(capsys.readouterr().out)["missing"]
    assert reason.startswith("keras: not installed")
    assert call(["tune", "small.yaml", "--dry-run", "-b", "torch"]) == 0


def test_a_dry_run_looks_for_what_the_sampler_computes_with(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    monkeypatch.setattr(type(CATALOG["torch"]), "missing", lambda _: None)
    assert call(["tune", "small.yaml", "--dry-run", "tune.sampler=gp"]) == 3
    assert "PROBLEM sampler gp needs torch, not installed" in capsys.readouterr().out


def test_more_workers_than_the_processors_carry_are_refused(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    most = 2 * usable_threads()
    assert call(["tune", "small.yaml", "--jobs", str(most + 1)]) == 2
    said = capsys.readouterr().err
    assert f"--jobs {most + 1}: at most {most} here, 2 for each processor" in said
    assert not (small / "results").exists()
    assert call(["tune", "small.yaml", "--dry-run", "--jobs", str(most)]) == 0


@pytest.mark.slow
def test_a_search_of_a_larger_machine_goes_on_with_fewer_workers(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(options, "usable_threads", lambda _=None: 16)
        arguments = ["tune", "small.yaml", "-q", "--jobs", "32", "--trials", "1"]
        assert call([*arguments, "backends=[torch]"]) == 0
    (folder,) = (small / "results").iterdir()
    assert call(["tune", "--resume", str(folder), "-q", "--trials", "2"]) == 0
    record = json.loads((folder / "result.json").read_text())
    assert record["jobs"] == 2 * usable_threads()
    assert len(record["trials"]) == 2


def test_a_full_temporary_disk_is_named_and_what_is_finished_is_stored_and_shown(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[None] = []
    get = DataStore.get

    def full(self: DataStore, *arguments: Any, **named: Any) -> Any:
        asked.append(None)
        # two trials have trained
        if len(asked) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return get(self, *arguments, **named)

    def free(folder: Any) -> Any:
        left = 0 if str(folder) == tempfile.gettempdir() else 10**9
        return shutil._ntuple_diskusage(10**9, 0, left)  # type: ignore[attr-defined]

    monkeypatch.setattr(DataStore, "get", full)
    monkeypatch.setattr(storage.shutil, "disk_usage", free)
    assert call(["tune", "small.yaml", "-q"]) == 3
    out, err = capsys.readouterr()
    assert f"error: {tempfile.gettempdir()}: No space left on device (another place" in err
    assert "TMPDIR=DIR); finished trials are kept: mend it" in err
    (folder,) = (small / "results").iterdir()
    record = json.loads((folder / "result.json").read_text())
    assert record["outcome"] == "stopped"
    assert [trial["state"] for trial in record["trials"]] == ["complete", "complete"]
    assert (folder / "best.yaml").is_file()
    assert "Best parameters" in out
    assert f"nncompare tune --resume results/{folder.name}" in out


def test_no_trial_is_spent_where_its_data_have_no_room(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Data, folder: Path) -> None:
        raise DataError(f"cannot write the prepared data to {folder}: no room")

    monkeypatch.setattr(Data, "save", full)
    assert call(["tune", "small.yaml", "-q"]) == 3
    assert "error: cannot write the prepared data to" in capsys.readouterr().err
    (folder,) = (small / "results").iterdir()
    record = json.loads((folder / "result.json").read_text())
    assert record["outcome"] == "stopped"
    assert record["searches"][0]["failed"] == 0


def test_an_error_that_names_its_file_is_about_that_file(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))
    assert storage.failed_place(error, tmp_path) == str(tmp_path / "x")
    other = OSError(errno.EIO, "Input/output error")
    assert storage.failed_place(other, tmp_path) == tmp_path
