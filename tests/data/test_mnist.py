"""MNIST: where its files are looked for, and every way in which they can be damaged."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nncompare.data import lookup, mnist, prepare
from nncompare.data.base import Data
from nncompare.data.idx import read_idx
from nncompare.data.mnist import Mnist, MnistRows
from nncompare.errors import DataError
from nncompare.testing.data_set import check_data_set
from tests.data import NAMES, SHARED, idx, mnist_arrays, write_mnist

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = NAMES


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no folder of the user, no mirrors."""
    monkeypatch.delenv("NNCOMPARE_DATA_DIR", raising=False)
    monkeypatch.setattr(mnist, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(mnist, "MIRRORS", ())
    return tmp_path / "cache" / "mnist"


def make(path: Path | None = None) -> Data:
    spec = Mnist(name="mnist", path=None if path is None else str(path))
    return prepare(spec, "classification", seed=0, dtype="float32")


def published(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Makes the digests of the files in ``folder`` the published ones."""
    digests = {name: lookup.sha256((folder / f"{name}.gz").read_bytes()) for name in NAMES}
    monkeypatch.setattr(mnist, "PUBLISHED", digests)


@pytest.mark.parametrize("cls", [Mnist, MnistRows])
def test_they_keep_the_promises_of_a_data_set(cls: type[Mnist | MnistRows], tmp_path: Path) -> None:
    name = {Mnist: "mnist", MnistRows: "mnist_rows"}[cls]
    check_data_set(cls(name=name, path=str(write_mnist(tmp_path / "here"))), "classification")


def test_its_own_test_set_is_kept(tmp_path: Path) -> None:
    spec = Mnist(name="mnist", path=str(write_mnist(tmp_path / "here")), limit=30)
    data = prepare(spec, "classification", seed=0, dtype="float32")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [24, 6, 20]
    assert data.test.y.tolist() == [row % 10 for row in range(20)]


def test_classes_are_stratified(tmp_path: Path) -> None:
    data = make(write_mnist(tmp_path / "here"))
    for part in (data.train, data.validation):
        counts = np.bincount(part.y, minlength=10)
        assert counts.max() - counts.min() <= max(1, 0.05 * counts.sum())
        assert counts.min() > 0


def test_pixels_are_grey_levels_from_0_to_1(tmp_path: Path) -> None:
    spec = Mnist(name="mnist", path=str(write_mnist(tmp_path / "here")), normalize=False)
    raw = prepare(spec, "classification", seed=0, dtype="float64")
    assert raw.train.x.min() == 0
    assert raw.train.x.max() == 1
    assert len(np.unique(raw.train.x)) == 256


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
def test_reads_files_at_data_path(tmp_path: Path, packed: bool) -> None:
    arrays = mnist_arrays()
    data = make(write_mnist(tmp_path / "here", arrays, packed=packed))
    raw = prepare(
        Mnist(name="mnist", path=str(tmp_path / "here"), normalize=False),
        "classification",
        seed=0,
        dtype="float64",
    )
    assert np.array_equal(np.rint(raw.test.x[..., 0] * 255), arrays[TEST_IMAGES])
    assert np.array_equal(data.test.y, arrays[TEST_LABELS])
    suffix = ".gz" if packed else ""
    assert data.digests[f"{IMAGES}{suffix}"] == lookup.sha256(
        (tmp_path / "here" / f"{IMAGES}{suffix}").read_bytes()
    )
    assert any(str(tmp_path / "here") in note for note in data.notes)
    assert any("60 training and 20 test images" in note for note in data.notes)


def test_a_note_says_when_a_digest_is_not_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_mnist(tmp_path / "here")
    assert any(
        "SHA-256 is not the published one: train-images" in note for note in make(folder).notes
    )
    published(monkeypatch, folder)
    assert not any("published" in note for note in make(folder).notes)
    plain = write_mnist(tmp_path / "plain", packed=False)
    assert any("not compared with the published" in note for note in make(plain).notes)


@pytest.mark.parametrize("inside", ["", "mnist"], ids=["itself", "subfolder"])
def test_reads_files_of_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    write_mnist(tmp_path / "shelf" / inside)
    monkeypatch.setenv("NNCOMPARE_DATA_DIR", str(tmp_path / "shelf"))
    assert len(make().test) == 20


def test_relative_paths_start_at_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    assert len(make(Path("here")).test) == 20


def test_dotted_names_are_known(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "here", packed=False)
    for name in NAMES:
        (folder / name).rename(folder / name.replace("-idx", ".idx"))
    assert len(make(folder).test) == 20


def test_data_path_comes_before_the_variable_and_the_variable_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    published(monkeypatch, write_mnist(cache, mnist_arrays(test=30)))
    assert len(make().test) == 30
    write_mnist(tmp_path / "shelf", mnist_arrays(test=40))
    monkeypatch.setenv("NNCOMPARE_DATA_DIR", str(tmp_path / "shelf"))
    assert len(make().test) == 40
    assert len(make(write_mnist(tmp_path / "here", mnist_arrays(test=50))).test) == 50


def test_missing_files_where_the_user_points_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    published(monkeypatch, write_mnist(cache))
    folder = write_mnist(tmp_path / "here")
    (folder / f"{TEST_LABELS}.gz").unlink()
    with pytest.raises(
        DataError, match=r"data.path: .*here has 3 of the four .*missing: t10k-labels-idx1-ubyte"
    ):
        make(folder)
    with pytest.raises(DataError, match=r"data.path: .*nowhere is not a folder"):
        make(tmp_path / "nowhere")
    monkeypatch.setenv("NNCOMPARE_DATA_DIR", str(folder))
    with pytest.raises(DataError, match=r"NNCOMPARE_DATA_DIR: .*3 of the four"):
        make()
    monkeypatch.setenv("NNCOMPARE_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"NNCOMPARE_DATA_DIR=.*nowhere is not a folder"):
        make()


def test_a_damaged_file_of_the_cache_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(monkeypatch, write_mnist(cache))
    assert len(make().test) == 20
    path = cache / f"{LABELS}.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(
        DataError,
        match=r"train-labels.*in the cache is damaged: SHA-256 .*delete it.*data fetch mnist",
    ):
        make()


def cut_gz(content: bytes) -> bytes:
    return gzip.compress(content)[:-20]


def spoil_gz(content: bytes) -> bytes:
    packed = bytearray(gzip.compress(content))
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


FAULTS: list[tuple[str, str, Callable[[dict[str, np.ndarray]], bytes], str]] = [
    ("truncated gz", IMAGES, lambda a: cut_gz(idx(a[IMAGES])), "train-images.* is truncated: the gzip stream"),
    ("damaged gz", IMAGES, lambda a: spoil_gz(idx(a[IMAGES])), "train-images.* is (damaged|truncated)"),
    ("truncated payload", IMAGES, lambda a: idx(a[IMAGES])[:-1], "truncated: 47039 bytes of values.* says 47040"),
    ("truncated in gz", LABELS, lambda a: gzip.compress(idx(a[LABELS])[:-1]), "truncated: 59 bytes .* says 60"),
    ("truncated header", LABELS, lambda a: idx(a[LABELS])[:6], "truncated: 6 bytes, shorter than its header of 8"),
    ("empty", LABELS, lambda a: b"", "truncated: 0 bytes"),
    ("trailing bytes", IMAGES, lambda a: idx(a[IMAGES]) + b"\0", "bytes after the 47040 values"),
    ("magic", IMAGES, lambda a: idx(a[IMAGES], magic=0x0801), "magic number 0x00000801, expected 0x00000803"),
    ("labels for images", TEST_IMAGES, lambda a: idx(a[TEST_LABELS]), "magic number 0x00000801.* file of images"),
    ("not IDX", LABELS, lambda a: b"<!DOCTYPE html><html></html>", "magic number 0x3c21444f"),
    ("count too large", LABELS, lambda a: idx(a[LABELS], count=61), "truncated: 60 bytes of values.* says 61"),
    ("count too small", LABELS, lambda a: idx(a[LABELS], count=59), "bytes after the 59 values"),
    ("count zero", LABELS, lambda a: idx(a[LABELS][:0]), "the header counts 0 examples"),
    ("count absurd", IMAGES, lambda a: idx(a[IMAGES], count=2**32 - 1), "the header counts 4294967295 examples"),
    ("other size", IMAGES, lambda a: idx(a[IMAGES].reshape(60, 14, 56)), "images of 14x56, expected 28x28"),
    ("fewer labels", LABELS, lambda a: idx(a[LABELS][:59]), "has 59 labels, but train-images.*60 images"),
    ("fewer images", TEST_IMAGES, lambda a: idx(a[TEST_IMAGES][:19]), "has 20 labels, but t10k-images.*19 images"),
    ("label 10", TEST_LABELS, lambda a: idx(np.where(np.arange(20) == 7, 10, a[TEST_LABELS]).astype(np.uint8)),
     "t10k-labels.*: label 10 of example 7, expected 0 to 9"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "damage", "words"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_damaged_files_are_named(
    tmp_path: Path, name: str, damage: Callable[[dict[str, np.ndarray]], bytes], words: str
) -> None:
    folder = write_mnist(tmp_path / "here", packed=False)
    (folder / name).write_bytes(damage(mnist_arrays()))
    with pytest.raises(DataError, match=words):
        make(folder)


def test_a_gzip_file_is_known_by_its_content() -> None:
    array = np.arange(5, dtype=np.uint8)
    for content in (idx(array), gzip.compress(idx(array))):
        assert np.array_equal(read_idx(content, Path("labels"), ()), array)


@pytest.mark.skipif(not (SHARED / "mnist").is_dir(), reason="the real MNIST files are not at hand")
def test_the_real_files() -> None:
    data = make(SHARED / "mnist")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [
        48_000,
        12_000,
        10_000,
    ]
    assert np.bincount(data.test.y).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    both = np.concatenate([data.train.y, data.validation.y])
    assert np.bincount(both).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    for name in (LABELS, TEST_IMAGES, TEST_LABELS):
        assert data.digests[f"{name}.gz"] == mnist.PUBLISHED[name]
