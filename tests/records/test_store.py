"""Result folders: whole or not there, and read with a clear word about what is wrong."""

from __future__ import annotations

import csv
import errno
import json
import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from nncompare.errors import StoreError
from nncompare.records import atomic, reading
from nncompare.records.folder import ResultFolder, create, read_slices
from nncompare.records.ledger import ledger
from nncompare.records.record import Record, to_json
from nncompare.stats.relative import relative
from nncompare.stats.summary import step_time
from nncompare.studies import RECORDS
from nncompare.studies.run.record import Comparison
from nncompare.wire.slice import Slice
from tests.fixtures.results import examples

FIXTURES = Path(__file__).parents[1] / "fixtures" / "results"
NOON = datetime.fromisoformat("2026-03-03T12:00:00+01:00")
SLICES = [
    Slice(epoch=1, begin=0, end=1, seconds=0.5, loss=2.3, phase="first"),
    Slice(epoch=1, begin=1, end=11, seconds=0.1, loss=2.1, phase="warmup"),
    Slice(epoch=2, begin=11, end=21, seconds=0.012345678901234567, loss=None, phase="steady"),
]


def read(path: Path) -> Record:
    return reading.read(path, RECORDS)


def stored(output: Path) -> reading.Stored:
    return reading.stored(output, RECORDS)


def publish(output: Path, **changes) -> ResultFolder:
    folder = create(output, "digits", created=NOON)
    folder.write_experiment("name: digits\n")
    folder.append_slices("torch", SLICES)
    result = examples.all_ok().model_copy(update={"id": folder.id, **changes})
    folder.write_history(result.runtimes)
    folder.write_result(result)
    folder.publish()
    return folder


def failing(monkeypatch, name: str, number: int):
    """Makes ``os.<name>`` fail as a full disk or a read-only folder does."""

    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, fail)


class TestFolder:
    def test_holds_what_was_written(self, tmp_path):
        folder = create(tmp_path / "results", "digits", created=NOON)
        log = tmp_path / "worker.log"
        log.write_text("hello")
        result = examples.all_ok()
        with folder:
            folder.write_experiment("name: digits\n")
            folder.append_slices("torch", SLICES[:2])
            folder.append_slices("torch:compile", SLICES[2:])
            folder.write_history(result.runtimes)
            folder.add_log("torch:compile", log)
            folder.write_weights("torch", {"dense_1.kernel": np.arange(6.0).reshape(2, 3).T})
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
        assert read(folder.path) == read(folder.path / "result.json") == result
        assert [entry.name for entry in (tmp_path / "results").iterdir()] == [folder.id]

    def test_weights_come_back_as_they_were(self, tmp_path):
        from safetensors.numpy import load_file

        kernel = np.arange(6.0).reshape(2, 3).T
        with create(tmp_path, "digits") as folder:
            folder.write_weights("torch", {"dense_1.kernel": kernel})
            np.testing.assert_array_equal(
                load_file(folder.weights_path("torch"))["dense_1.kernel"], kernel
            )

    def test_name_says_what_and_when(self, tmp_path):
        folder = create(tmp_path, "digits", created=NOON)
        assert folder.path == tmp_path / folder.id
        assert folder.id.startswith("digits-20260303-120000-")
        assert len(folder.id.rpartition("-")[2]) == 8

    def test_runs_of_one_second_have_names_of_their_own(self, tmp_path):
        assert len({create(tmp_path, "digits", created=NOON).id for _ in range(20)}) == 20

    def test_cannot_be_seen_before_it_is_published(self, tmp_path):
        folder = create(tmp_path, "digits")
        folder.write_result(examples.all_ok())
        assert not folder.path.exists()
        assert stored(tmp_path).records == ()
        folder.publish()
        assert len(stored(tmp_path).records) == 1

    def test_a_crash_leaves_a_hidden_folder_that_nobody_reads(self, tmp_path):
        folder = create(tmp_path, "digits")
        folder.write_experiment("name: digits\n")
        (left,) = tmp_path.iterdir()
        assert left.name == f".{folder.id}.partial"
        assert stored(tmp_path) == reading.Stored(records=())
        with pytest.raises(StoreError, match="did not end"):
            read(left)

    def test_an_error_inside_the_block_leaves_nothing(self, tmp_path):
        def crash():
            with create(tmp_path, "digits") as folder:
                folder.write_experiment("name: digits\n")
                raise KeyError

        with pytest.raises(KeyError):
            crash()
        assert list(tmp_path.iterdir()) == []

    def test_is_not_published_without_a_result(self, tmp_path):
        with (
            create(tmp_path, "digits") as folder,
            pytest.raises(StoreError, match="write_result comes before"),
        ):
            folder.publish()

    def test_a_published_result_can_be_replaced(self, tmp_path):
        folder = publish(tmp_path)
        folder.write_result(examples.one_epoch())
        folder.discard()
        assert read(folder.path).name == "digits-quick"

    def test_history_has_a_line_for_each_epoch(self, tmp_path):
        folder = publish(tmp_path)
        rows = list(csv.DictReader((folder.path / "history.csv").open()))
        assert len(rows) == 15
        assert rows[5]["runtime"] == "tensorflow"
        assert float(rows[0]["train_loss"]) == examples.all_ok().runtimes[0].history[0].train_loss


class TestWriting:
    def test_failed_replace_keeps_the_old_file_and_leaves_nothing_else(self, tmp_path, monkeypatch):
        path = tmp_path / "result.json"
        atomic.write_text(path, "old")
        failing(monkeypatch, "replace", errno.EIO)
        with pytest.raises(StoreError, match=r"cannot write .*result\.json"):
            atomic.write_text(path, "new")
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_stopped_between_write_and_replace(self, tmp_path, monkeypatch):
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
    def test_full_or_read_only_disk(self, tmp_path, monkeypatch, number, says):
        folder = create(tmp_path, "digits")
        failing(monkeypatch, "fsync", number)
        with pytest.raises(StoreError, match=f"result.json: .*{says}.*--output DIR"):
            folder.write_result(examples.all_ok())
        with pytest.raises(StoreError, match=f"slices.csv: .*{says}"):
            folder.append_slices("torch", SLICES)

    def test_a_failed_publish_is_no_result(self, tmp_path, monkeypatch):
        with create(tmp_path, "digits") as folder:
            folder.write_result(examples.all_ok())
            failing(monkeypatch, "rename", errno.ENOSPC)
            with pytest.raises(StoreError, match="disk is full"):
                folder.publish()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("inside", ["", "deeper/still"])
    def test_output_that_is_a_file(self, tmp_path, inside):
        (tmp_path / "results").write_text("")
        with pytest.raises(StoreError, match="a file stands where a folder is needed"):
            create(tmp_path / "results" / inside, "digits")

    def test_no_nan_reaches_the_disk(self, tmp_path):
        folder = create(tmp_path, "digits")
        comparison = Comparison(pairs=({"ratio": float("nan"), "high": float("inf")},))
        folder.write_result(examples.all_ok().model_copy(update={"comparison": comparison}))
        folder.publish()
        assert read(folder.path).comparison.pairs == ({"ratio": None, "high": None},)

    def test_json_is_strict_and_unknown_is_null(self):
        def refuse(name):
            raise AssertionError(name)

        document = json.loads(to_json(examples.failures()), parse_constant=refuse)
        assert document["runtimes"][1]["timing"]["import_s"] is None
        assert document["schema_version"] == 1


class TestReading:
    def test_file_of_version_1(self):
        result = read(FIXTURES / "run_v1.json")
        assert result == examples.failures()
        assert [row.status for row in result.runtimes] == ["ok", "refused", "diverged", "failed"]
        assert result.runtimes[0].timing.step_s.median == 4.123e-4

    @pytest.mark.parametrize("example", examples.ALL.values(), ids=examples.ALL)
    def test_comes_back_as_it_was(self, example):
        assert reading.from_json(to_json(example()), source="x", kinds=RECORDS) == example()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (
                {"schema_version": 2},
                r"newer nncompare \(schema version 2, this one reads 1\).*pip install --upgrade",
            ),
            ({"schema_version": 0}, "unknown schema_version 0"),
            ({"schema_version": True}, "unknown schema_version True"),
            ({"schema_version": None}, "not a result of nncompare"),
            ({"kind": "sweep"}, "kind is 'sweep'; what can be read here: 'run', "),
            ({"kind": None}, "kind is None"),
            ({"kind": ["run"]}, r"kind is \['run'\]"),
            ({"name": 3}, "damaged: name: Input should be a valid string"),
            ({"extra": 1}, "damaged: extra: Extra inputs"),
            ({"created": "yesterday"}, "created: 'yesterday'"),
            ({"created": "2026-03-03T10:11:12"}, "offset"),
            ({"runtimes": [{"runtime": "torch", "status": "fine"}]}, r"runtimes\.0\.status"),
        ],
    )
    def test_wrong_documents_are_named(self, tmp_path, change, says):
        path = tmp_path / "result.json"
        path.write_text(json.dumps(json.loads(to_json(examples.all_ok())) | change))
        with pytest.raises(StoreError, match=says) as caught:
            read(path)
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b"3",
            b"\xff\xfe",
            b'{"schema_version": NaN}',
            b"[" * 100_000,
            to_json(examples.all_ok())[:-9].encode(),
        ],
        ids=["empty", "brace", "list", "number", "not utf-8", "nan", "deep", "cut"],
    )
    def test_damaged_files_are_named(self, tmp_path, content):
        path = tmp_path / "result.json"
        path.write_bytes(content)
        with pytest.raises(StoreError, match=r"result\.json: damaged"):
            read(path)

    def test_missing_paths(self, tmp_path):
        folder = publish(tmp_path)
        with pytest.raises(StoreError, match=f"no such result; did you mean .*{folder.id}"):
            read(tmp_path / folder.id[:-1])
        with pytest.raises(
            StoreError, match=f"no result.json in this folder; did you mean .*{folder.id}"
        ):
            read(tmp_path)

    def test_runs_are_newest_first_and_damaged_ones_are_told(self, tmp_path):
        # the same instant order in another zone: 11:30+00:00 is after 12:00+01:00
        times = {
            "b": "2026-03-03T12:00:00+01:00",
            "a": "2026-03-03T11:30:00+00:00",
            "c": "2025-12-31T23:00:00+01:00",
        }
        for created in times.values():
            publish(tmp_path, created=created)
        broken = publish(tmp_path)
        (broken.path / "result.json").write_text("{")
        (tmp_path / "notes").mkdir()
        (tmp_path / "file").write_text("")
        found = stored(tmp_path)
        assert [result.created for _, result in found.records] == [
            times["a"],
            times["b"],
            times["c"],
        ]
        assert all(path.is_dir() for path, _ in found.records)
        assert len(found.problems) == 1
        assert broken.id in found.problems[0]

    def test_runs_of_no_folder(self, tmp_path):
        with pytest.raises(StoreError, match="no such folder"):
            stored(tmp_path / "nothing")


class TestSlices:
    def test_come_back_exactly(self, tmp_path):
        folder = publish(tmp_path)
        samples, warnings = read_slices(folder.path)
        assert warnings == []
        assert [(one.epoch, one.begin, one.end, one.phase) for one in samples] == [
            (1, 0, 1, "first"),
            (1, 1, 11, "warmup"),
            (2, 11, 21, "steady"),
        ]
        assert samples[2].seconds == 0.012345678901234567
        assert samples[2].loss is None
        assert samples[0].round == 1

    @pytest.mark.parametrize("cut", [1, 5, 20])
    def test_a_torn_last_line_is_left_out_with_a_warning(self, tmp_path, cut):
        path = publish(tmp_path).path / "slices.csv"
        path.write_bytes(path.read_bytes()[:-cut])
        samples, warnings = read_slices(path.parent)
        assert len(samples) == 2
        assert len(warnings) == 1
        assert "slices.csv:4: the last line is torn" in warnings[0]

    def test_appending_after_a_crash_drops_the_torn_line(self, tmp_path):
        folder = publish(tmp_path)
        path = folder.path / "slices.csv"
        path.write_bytes(path.read_bytes()[:-5])
        folder.append_slices("keras", SLICES[:1], round=2)
        samples, warnings = read_slices(folder.path)
        assert warnings == []
        assert [(one.runtime, one.round) for one in samples] == [
            ("torch", 1),
            ("torch", 1),
            ("keras", 2),
        ]

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            (b",0.5,", b",half,", r"slices\.csv:2: damaged: could not convert"),
            (b",first\n", b"\n", r"slices\.csv:2: damaged: 7 fields instead of 8"),
            (b",warmup\n", b",asleep\n", r"slices\.csv:3: damaged: phase is 'asleep'"),
            (b"runtime,", b"run,", r"slices\.csv:1: damaged"),
        ],
    )
    def test_a_bad_line_elsewhere_is_an_error_that_names_it(self, tmp_path, old, new, says):
        path = publish(tmp_path).path / "slices.csv"
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))
        with pytest.raises(StoreError, match=says):
            read_slices(path.parent)

    def test_missing(self, tmp_path):
        with pytest.raises(StoreError, match="cannot read"):
            read_slices(tmp_path)


class TestStats:
    def test_step_time_is_of_the_slices_mean_steps(self):
        found = step_time([(10, 1.0), (20, 4.0), (5, 1.5)])
        assert found.model_dump() == {
            "median": 0.2,
            "p05": pytest.approx(0.11),
            "p95": pytest.approx(0.29),
            "n": 3,
        }

    @pytest.mark.parametrize(
        ("slices", "says"), [([], "at least one slice"), ([(0, 1.0)], "at least one step")]
    )
    def test_step_time_of_nothing(self, slices, says):
        with pytest.raises(ValueError, match=says):
            step_time(slices)

    def test_relative_to_the_fastest(self):
        assert relative({"a": 0.2, "b": 0.1}) == {"a": 2.0, "b": 1.0}
        assert relative({}) == {}

    def test_times_that_were_not_measured_have_no_ratio(self):
        assert relative({"a": 0.0, "b": float("nan"), "c": 0.1}) == {"c": 1.0}


class TestLedger:
    def test_names_what_differs_among_those_that_finished(self):
        rows = (
            examples.row("torch", settings={"tf32": "off", "compiled": "no"}),
            examples.row(
                "keras", settings={"tf32": "off", "compiled": "tf.function", "engine": "TensorFlow"}
            ),
            examples.row("tensorflow", status="failed", reason="x", settings={"tf32": "on"}),
        )
        assert {entry.setting: entry.values for entry in ledger(rows)} == {
            "versions": {"torch": "torch 2.13.0", "keras": "keras 3.15.0, tensorflow 2.21.0"},
            "compiled": {"torch": "no", "keras": "tf.function"},
            "engine": {"torch": None, "keras": "TensorFlow"},
        }

    def test_one_runtime_differs_from_nothing(self):
        assert ledger((examples.row("torch"),)) == ()
