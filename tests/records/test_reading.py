"""A stored result is read with a clear word about what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nncompare.errors import StoreError
from nncompare.records.record import to_json
from tests.fixtures.results import examples
from tests.records.stored import publish, read

FIXTURES = Path(__file__).parents[1] / "fixtures" / "results"


def test_file_of_version_1():
    result = read(FIXTURES / "run_v1.json")
    assert result == examples.failures()
    assert [row.status for row in result.runtimes] == ["ok", "refused", "diverged", "failed"]
    assert result.runtimes[0].timing.step_s.median == 4.123e-4


@pytest.mark.parametrize("example", examples.ALL.values(), ids=examples.ALL)
def test_comes_back_as_it_was(tmp_path, example):
    path = tmp_path / "printed.json"
    path.write_text(to_json(example()))
    assert read(path) == example()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"schema_version": 2},
            r"newer nncompare \(schema version 2, this one reads 1\).*git pull",
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
def test_wrong_documents_are_named(tmp_path, change, says):
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
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"result\.json: damaged"):
        read(path)


def test_missing_paths(tmp_path):
    folder = publish(tmp_path)
    with pytest.raises(StoreError, match=f"no such result; did you mean .*{folder.id}"):
        read(tmp_path / folder.id[:-1])
    with pytest.raises(
        StoreError, match=f"no result.json in this folder; did you mean .*{folder.id}"
    ):
        read(tmp_path)
