"""``nncompare.read`` opens every kind of record that is written, and says what is wrong with the
rest.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import nncompare
from nncompare.errors import StoreError
from nncompare.records.record import Record
from nncompare.studies import KINDS, RECORDS

FIXTURES = Path(__file__).parents[1] / "fixtures" / "results"
FILES = sorted(FIXTURES.glob("*_v*.json"))
"""``<kind>_v<schema version>.json``, as they were written when that version was current."""


def kind_of(file: Path) -> str:
    return file.stem.partition("_v")[0]


def document_of(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / f"{kind}_v1.json").read_text())
    return document


def test_every_kind_has_a_file_of_every_version() -> None:
    for kind, place in RECORDS.items():
        module, _, name = place.partition(":")
        record: type[Record] = getattr(import_module(module), name)
        assert record.model_fields["kind"].default == kind
        newest = record.model_fields["schema_version"].default
        wanted = {f"{kind}_v{version}" for version in range(1, newest + 1)}
        assert wanted == {file.stem for file in FILES if kind_of(file) == kind}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_is_opened_and_shows_itself(file: Path) -> None:
    result = nncompare.read(file)
    assert type(result).__name__ == KINDS[kind_of(file)].result
    assert isinstance(result, nncompare.Result)
    assert result.folder is None
    assert result.record is result.result
    assert len(repr(result).splitlines()) > 5
    assert "\x1b" not in repr(result)
    assert max(map(len, repr(result).splitlines())) <= 120
    html = result._repr_html_()
    assert html.startswith('<div class="nncompare">')
    if hasattr(result.record, "name"):
        assert result.record.name in repr(result)
        assert result.record.name in html
    assert "<script" not in html


def missing(old: Any, new: Any, place: str = "") -> list[str]:
    """Where a document has lost what it had: a key, an item or a value."""
    if isinstance(old, dict) and isinstance(new, dict):
        lost = [f"{place}.{key}" for key in old if key not in new]
        for key in old.keys() & new.keys():
            lost += missing(old[key], new[key], f"{place}.{key}")
        return lost
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        items = zip(old, new, strict=True)
        return [at for i, pair in enumerate(items) for at in missing(*pair, f"{place}.{i}")]
    return [] if old == new else [place]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_keeps_the_shape_of_its_document(file: Path) -> None:
    """Other people's scripts rely on it: a key that is gone or renamed wants a new version."""
    assert missing(json.loads(file.read_text()), nncompare.read(file).to_dict()) == []


def test_what_a_document_has_lost_is_seen() -> None:
    old = {"a": [1, {"b": 2}], "c": None}
    assert missing(old, {"a": [1, {"b": 2, "new": 3}], "c": None}) == []
    assert missing(old, {"a": [1, {}]}) == [".c", ".a.1.b"]
    assert set(missing(old, {"a": [1], "c": 0})) == {".a", ".c"}


# Vega's SVG has attributes that are no XML, and a picture in base64 takes its time
@pytest.mark.parametrize("kind", ["run", "plan", "verify", "conventions", "doctor"])
def test_its_html_is_well_formed(kind: str) -> None:
    html = nncompare.read(FIXTURES / f"{kind}_v1.json")._repr_html_()
    xml.etree.ElementTree.fromstring(html.replace("<br>", "<br/>"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_folder_is_opened_too(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document_of(kind)))
    assert nncompare.read(tmp_path).folder == nncompare.read(path).folder == tmp_path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 99}, r"written by a newer nncompare \(schema version 99"),
        ({"schema_version": 0}, "unknown schema_version 0"),
        ({"extra": 1}, "damaged: extra: Extra inputs"),
        ({"schema_version": "1"}, "unknown schema_version '1'"),
        ({"kind": "sweep"}, "kind is 'sweep'; what can be read here: 'run', 'plan', 'verify'"),
    ],
    ids=["newer", "older", "unknown key", "a text", "unknown kind"],
)
def test_what_is_wrong_is_said(
    kind: str, change: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document_of(kind) | change))
    with pytest.raises(StoreError, match=says) as caught:
        nncompare.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_damaged(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(document_of(kind))[:-20])
    with pytest.raises(StoreError, match=r"mine\.json: damaged: not strict JSON"):
        nncompare.read(path)
