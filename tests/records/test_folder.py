"""A result folder is whole or not there."""

from __future__ import annotations

import csv

import pytest

from nncompare.errors import StoreError
from nncompare.records.folder import create
from tests.fixtures.results import examples
from tests.records.stored import NOON, SLICES, publish, read, stored


def test_holds_what_was_written(tmp_path):
    folder = create(tmp_path / "results", "digits", created=NOON)
    log = tmp_path / "worker.log"
    log.write_text("hello")
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"numbers")
    result = examples.all_ok()
    with folder:
        folder.write_experiment("name: digits\n")
        folder.write_slices({"torch": SLICES[:2], "torch:compile": SLICES[2:]})
        folder.write_history(result.runtimes)
        folder.add_log("torch:compile", log)
        folder.add_log("keras", tmp_path / "never written")
        folder.add_weights("torch", weights)
        folder.write_result(result)
        folder.publish()
    names = sorted(
        str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()
    )
    assert names == [
        "experiment.yaml",
        "history.csv",
        "logs/torch-compile.log",
        "result.json",
        "slices.csv",
        "weights/torch.safetensors",
    ]
    assert (folder.path / "weights/torch.safetensors").read_bytes() == b"numbers"
    assert read(folder.path) == read(folder.path / "result.json") == result
    assert [entry.name for entry in (tmp_path / "results").iterdir()] == [folder.id]


def test_name_says_what_and_when(tmp_path):
    folder = create(tmp_path, "digits", created=NOON)
    assert folder.path == tmp_path / folder.id
    assert folder.id.startswith("digits-20260303-120000-")
    assert len(folder.id.rpartition("-")[2]) == 8


def test_runs_of_one_second_have_names_of_their_own(tmp_path):
    assert len({create(tmp_path, "digits", created=NOON).id for _ in range(20)}) == 20


def test_cannot_be_seen_before_it_is_published(tmp_path):
    folder = create(tmp_path, "digits")
    folder.write_result(examples.all_ok())
    assert not folder.path.exists()
    assert stored(tmp_path) == []
    folder.publish()
    assert len(stored(tmp_path)) == 1


def test_a_crash_leaves_a_hidden_folder_that_nobody_reads(tmp_path):
    folder = create(tmp_path, "digits")
    folder.write_experiment("name: digits\n")
    (left,) = tmp_path.iterdir()
    assert left.name == f".{folder.id}.partial"
    assert stored(tmp_path) == []
    with pytest.raises(StoreError, match="did not end"):
        read(left)


def test_an_error_inside_the_block_leaves_nothing(tmp_path):
    def crash():
        with create(tmp_path, "digits") as folder:
            folder.write_experiment("name: digits\n")
            raise KeyError

    with pytest.raises(KeyError):
        crash()
    assert list(tmp_path.iterdir()) == []


def test_is_not_published_without_a_result(tmp_path):
    with (
        create(tmp_path, "digits") as folder,
        pytest.raises(StoreError, match="write_result comes before"),
    ):
        folder.publish()


def test_a_published_result_stays(tmp_path):
    folder = publish(tmp_path)
    folder.discard()
    assert read(folder.path).id == folder.id


def test_history_has_a_line_for_each_epoch(tmp_path):
    folder = publish(tmp_path)
    rows = list(csv.DictReader((folder.path / "history.csv").open()))
    assert len(rows) == 15
    assert rows[5]["runtime"] == "tensorflow"
    assert float(rows[0]["train_loss"]) == examples.all_ok().runtimes[0].history[0].train_loss
