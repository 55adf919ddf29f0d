"""Text: consecutive parts, windows inside them, look-up and bad files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompare.data import prepare, signature, text
from nncompare.data.base import PARTS, Data
from nncompare.data.text import Text
from nncompare.errors import DataError
from nncompare.testing.data_set import check_data_set
from tests.data import SHARED

LINE = "".join(chr(0x100 + k) for k in range(200))
"""200 different characters, none of them one byte, so that a window tells its place."""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNCOMPARE_DATA_DIR", raising=False)
    monkeypatch.setattr(text, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(text, "MIRRORS", ())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "text.txt"
    place.write_text(LINE, encoding="utf-8")
    return place


def make(path: Path, **fields: Any) -> Data:
    return prepare(
        Text(name="text", path=str(path), **fields), "classification", seed=0, dtype="float32"
    )


def test_it_keeps_the_promises_of_a_data_set(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("the cat sat on the mat; the dog sat on the log.\n" * 20, encoding="utf-8")
    check_data_set(Text(name="text", path=str(file), window=8), "classification", distinct=False)


def test_a_text_is_read_once_as_long_as_its_file_stays_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    original = text.read_bytes

    def counted(file: Path) -> bytes:
        read.append(file)
        return original(file)

    monkeypatch.setattr(text, "read_bytes", counted)
    spec = Text(name="text", path=str(path), window=7)
    for _ in range(3):
        signature(spec, "classification")
        make(path, window=7)
    assert read == [path]
    path.write_text(LINE + "!", encoding="utf-8")
    assert signature(spec, "classification").outputs == 201
    assert read == [path, path]


@pytest.mark.parametrize("stride", [None, 3, 11])
def test_windows_stay_inside_consecutive_parts(path: Path, stride: int | None) -> None:
    data = make(path, window=7, stride=stride, validation=0.25, test=0.2)
    borders = {"train": (0, 120), "validation": (120, 160), "test": (160, 200)}
    for part, (begin, end) in borders.items():
        x, y = getattr(data, part).x, getattr(data, part).y
        starts = np.arange(begin, end - 7, stride or 7)
        assert np.array_equal(x, starts[:, None] + np.arange(7))
        assert np.array_equal(y, x + 1)
        assert y.max() < end


def test_the_vocabulary_is_sorted_and_of_the_whole_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("zyx" * 30 + "é\n" * 10, encoding="utf-8")
    data = make(path, window=2)
    assert text.read_corpus(path).vocabulary == "\nxyzé"
    assert data.signature.outputs == data.signature.input.vocabulary == 5
    assert data.signature.per_step
    assert data.train.x[0].tolist() == [3, 2]
    assert data.train.y[0].tolist() == [2, 1]
    assert data.test.x.max() == 4


def test_limit_takes_windows_from_the_beginning(path: Path) -> None:
    data = make(path, window=5, limit=12, validation=0.5)
    assert len(data.train) + len(data.validation) <= 12
    assert data.validation.y.max() <= 60
    assert data.test.x.min() == 180, "the test part stays"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"window": 150},
            "data.window: the train part has 144 characters, a window of 150 needs 151; lower",
        ),
        (
            {"window": 30},
            "the test part has 20 characters, a window of 30 needs 31; .*raise data.test",
        ),
        (
            {"window": 7, "test": 0.99},
            "data.test: 0.99 of 200 characters leaves 2 for training and validation, a window of 7",
        ),
        (
            {"window": 10, "validation": 0.01},
            "the validation part has 2 characters.*raise data.validation",
        ),
    ],
)
def test_a_part_shorter_than_a_window_is_refused(
    path: Path, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        make(path, **fields)


def test_bad_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"caf\xe9 au lait" * 50)
    with pytest.raises(DataError, match=r"text.txt is not UTF-8: byte 0xe9 at position 3"):
        make(path)
    for content in ("", "aaaa"):
        path.write_text(content)
        with pytest.raises(
            DataError, match=rf"text.txt has {len(set(content))} different characters"
        ):
            make(path)
    with pytest.raises(DataError, match=r"data.path: .*absent.txt is not a file"):
        make(tmp_path / "absent.txt")


def test_where_a_text_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Text(name="text", window=4)
    with pytest.raises(
        DataError, match=r"cache.tinyshakespeare.input.txt \(NNCOMPARE_DATA_DIR is not set\)"
    ):
        signature(spec, "classification")
    shelf = tmp_path / "shelf"
    (shelf / "tinyshakespeare").mkdir(parents=True)
    monkeypatch.setenv("NNCOMPARE_DATA_DIR", str(shelf))
    with pytest.raises(
        DataError, match=r"shelf.tinyshakespeare.input.txt, .*shelf.input.txt, .*cache"
    ):
        signature(spec, "classification")
    (shelf / "input.txt").write_text("abc" * 40)
    assert signature(spec, "classification").outputs == 3
    (shelf / "tinyshakespeare" / "input.txt").write_text("abcd" * 40)
    assert signature(spec, "classification").outputs == 4


@pytest.mark.skipif(
    not (SHARED / "tinyshakespeare").is_dir(), reason="tinyshakespeare is not at hand"
)
def test_the_real_text() -> None:
    data = make(SHARED / "tinyshakespeare" / "input.txt")
    assert data.signature.outputs == 65
    assert data.digests == {"input.txt": text.PUBLISHED}
    assert sum(len(getattr(data, part)) for part in PARTS) * 64 > 1_115_000
