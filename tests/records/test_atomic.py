"""Writing that is whole or not there, and what the system refuses, in words."""

from __future__ import annotations

import errno
import json
import os

import pytest

from nncompare.errors import StoreError
from nncompare.records import atomic
from nncompare.records.folder import create
from nncompare.records.record import to_json
from nncompare.studies.run.record import Comparison
from tests.fixtures.results import examples
from tests.records.stored import SLICES, failing, read


def test_failed_replace_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    atomic.write_text(path, "old")
    failing(monkeypatch, "replace", errno.EIO)
    with pytest.raises(StoreError, match=r"cannot write .*result\.json"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_stopped_between_write_and_replace(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    atomic.write_text(path, "old")

    def stop(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "no permission"),
        (errno.EACCES, "writable"),
    ],
)
def test_full_or_read_only_disk(tmp_path, monkeypatch, number, says):
    folder = create(tmp_path, "digits")
    failing(monkeypatch, "fsync", number)
    with pytest.raises(StoreError, match=f"result.json: .*{says}.*--output DIR"):
        folder.write_result(examples.all_ok())
    with pytest.raises(StoreError, match=f"slices.csv: .*{says}"):
        folder.write_slices({"torch": SLICES})


def test_a_failed_publish_is_no_result(tmp_path, monkeypatch):
    with create(tmp_path, "digits") as folder:
        folder.write_result(examples.all_ok())
        failing(monkeypatch, "rename", errno.ENOSPC)
        with pytest.raises(StoreError, match="disk is full"):
            folder.publish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_output_that_is_a_file(tmp_path, inside):
    (tmp_path / "results").write_text("")
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        create(tmp_path / "results" / inside, "digits")


def test_no_nan_reaches_the_disk(tmp_path):
    folder = create(tmp_path, "digits")
    comparison = Comparison(pairs=({"ratio": float("nan"), "high": float("inf")},))
    folder.write_result(examples.all_ok().model_copy(update={"comparison": comparison}))
    folder.publish()
    assert read(folder.path).comparison.pairs == ({"ratio": None, "high": None},)


def test_json_is_strict_and_unknown_is_null():
    def refuse(name):
        raise AssertionError(name)

    document = json.loads(to_json(examples.failures()), parse_constant=refuse)
    assert document["runtimes"][1]["timing"]["import_s"] is None
    assert document["schema_version"] == 1
