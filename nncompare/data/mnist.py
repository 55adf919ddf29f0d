"""``mnist`` and ``mnist_rows``: 60,000 + 10,000 handwritten digits 28x28 (LeCun, Cortes and Burges
1998).

The four IDX files are looked for in ``data.path``; in ``NNCOMPARE_DATA_DIR`` and its folder
``mnist``; in the cache; and are downloaded into the cache otherwise. The published digests are
demanded of the cache and of downloads; files that a user points at are checked for structure, and
their digests are recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nncompare.data.base import Data, Signature, Split
from nncompare.data.download import download
from nncompare.data.idx import read_idx
from nncompare.data.images import CLASSES, images_data, images_signature
from nncompare.data.lookup import (
    VARIABLE,
    cache_folder,
    check_cached,
    data_folder,
    read_bytes,
    sha256,
)
from nncompare.data.splits import hold_back, order
from nncompare.errors import DataError
from nncompare.spec.data import DataSet, Normalized, Report, Starter, Task

SIDE = 28
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
PUBLISHED = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""SHA-256 of the ``.gz`` files."""
PUBLISHED_COUNTS = {"train": 60_000, "t10k": 10_000}


class _MnistImages(DataSet, Normalized):
    """The images, in one of two shapes."""

    tasks = ("classification",)
    one_scale = True
    download = "mnist"
    as_rows: ClassVar[bool]

    path: str | None = None
    """Folder with the four IDX files; default: NNCOMPARE_DATA_DIR, then the cache, then a download.
    """

    def signature(self, task: Task) -> Signature:
        """``(28, 28, 1)`` or, as rows, ``(28, 28)``; 10 classes."""
        return images_signature(SIDE, rows=self.as_rows)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """MNIST's own test set; stratified training and validation parts.

        Raises:
            DataError: files are missing or damaged.
        """
        files = ensure(self.path, _quiet)
        own = read_pair(files, "train")
        test = read_pair(files, "t10k")
        digests = own.digests | test.digests
        rows = order(len(own.labels), seed, own.labels)
        train, held = hold_back(rows, validation=self.validation, limit=self.limit)
        return images_data(
            {
                "train": Split(x=own.images[train], y=own.labels[train]),
                "validation": Split(x=own.images[held], y=own.labels[held]),
                "test": Split(x=test.images, y=test.labels),
            },
            levels=256,
            normalize=self.normalize,
            signature=self.signature(task),
            dtype=dtype,
            digests=digests,
            notes=(
                f"{self.name}: from {files.folder}",
                *_remarks(digests, len(own.labels), len(test.labels)),
            ),
        )

    def place(self) -> Path | None:
        """The folder of the four files, None if some would have to be downloaded.

        Raises:
            DataError: files are missing where the user points.
        """
        files = _of_user(self.path)
        if files is not None:
            return files.folder
        folder = _cache()
        is_complete = all((folder / f"{name}.gz").exists() for name in PUBLISHED)
        return folder if is_complete else None

    def ensure(self, report: Report) -> None:
        """Downloads those of the four files that are not at hand.

        Raises:
            DataError: files are missing where the user points, or no mirror has them.
        """
        ensure(self.path, report)

    @classmethod
    def fetch(cls, report: Report) -> Path:
        """Downloads what is missing or damaged, and reads all of it once.

        Returns:
            The folder.
        """
        if _of_user(None) is None:
            _mend_cache(report)
        files = ensure(None, report)
        counts = [len(read_pair(files, part).labels) for part in PUBLISHED_COUNTS]
        report(
            f"mnist: {counts[0]:,} training and {counts[1]:,} test images checked in {files.folder}"
        )
        return files.folder


class Mnist(_MnistImages):
    """60,000 + 10,000 handwritten digits of 28x28 pixels (LeCun, Cortes and Burges 1998)."""

    title = "handwritten digits, 60,000 + 10,000 images 28x28 (LeCun et al. 1998)"
    as_rows = False

    name: Literal["mnist"]


class MnistRows(_MnistImages):
    """The images of `mnist` as sequences of 28 rows."""

    title = "MNIST images as sequences of 28 rows"
    as_rows = True
    starter = Starter(model="recurrent")

    name: Literal["mnist_rows"]


@dataclass(frozen=True, kw_only=True)
class Files:
    """The four files.

    Args:
        folder: where they are.
        paths: name without ``.gz`` -> path.
        cached: they are in the cache, so their digests must be the published ones.
    """

    folder: Path
    paths: dict[str, Path]
    cached: bool


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Images ``(N, 28, 28)`` and labels ``(N,)``, uint8, and the SHA-256 of each file by its
    name.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    digests: dict[str, str]


def ensure(path: str | None, report: Report) -> Files:
    """Finds the files, or downloads them.

    Args:
        path: the folder that ``data.path`` names.
        report: is told each step in one line.

    Raises:
        DataError: files are missing where the user points, or no mirror has them.
    """
    files = _of_user(path)
    if files is not None:
        return files
    folder = _cache()
    for name in PUBLISHED:
        if not (folder / f"{name}.gz").exists():
            _download(name, report)
    paths = {name: folder / f"{name}.gz" for name in PUBLISHED}
    return Files(folder=folder, paths=paths, cached=True)


def _cache() -> Path:
    return cache_folder() / "mnist"


def _download(name: str, report: Report) -> None:
    """Puts one file into the cache."""
    target = _cache() / f"{name}.gz"
    urls = [f"{mirror}{target.name}" for mirror in MIRRORS]
    advice = _advice(target.parent)
    download(urls, target, sha256=PUBLISHED[name], advice=advice, report=report)


def _mend_cache(report: Report) -> None:
    """Downloads again what is damaged in the cache."""
    for name, published in PUBLISHED.items():
        path = _cache() / f"{name}.gz"
        if path.exists() and sha256(read_bytes(path)) != published:
            report(
                f"{path.name}: the digest in the cache is not the published one; fetching it again"
            )
            _download(name, report)


def _quiet(message: str) -> None:
    """Says nothing: whoever prepares the data has called ``ensure`` before."""


def _of_user(path: str | None) -> Files | None:
    """The files where the user points: ``data.path``, else ``NNCOMPARE_DATA_DIR`` if it has any of
    them.
    """
    if path is not None:
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise DataError(f"data.path: {path} is not a folder (looked for {folder.absolute()})")
        return _complete(folder, _present(folder), "data.path")
    root = data_folder()
    if root is None:
        return None
    for folder in (root, root / "mnist"):
        present = _present(folder)
        # One of the four means that all are meant to be here: a download would hide the mistake.
        if present:
            return _complete(folder, present, VARIABLE)
    return None


def _present(folder: Path) -> dict[str, Path]:
    """Those of the four files that are in a folder, gzipped or plain, also as
    ``train-images.idx3-ubyte``.
    """
    found: dict[str, Path] = {}
    for name in PUBLISHED:
        dotted = name.replace("-idx", ".idx")
        candidates = (folder / file for file in (f"{name}.gz", name, f"{dotted}.gz", dotted))
        path = next((file for file in candidates if file.is_file()), None)
        if path is not None:
            found[name] = path
    return found


def _complete(folder: Path, present: dict[str, Path], key: str) -> Files:
    missing = [f"{name}[.gz]" for name in PUBLISHED if name not in present]
    if missing:
        raise DataError(
            f"{key}: {folder} has {len(present)} of the four MNIST files; missing:"
            f" {', '.join(missing)}; put them there, or take the key away to use the cache or a"
            " download"
        )
    return Files(folder=folder, paths=present, cached=False)


def read_pair(files: Files, part: str) -> Pair:
    """The images and labels of one part.

    Args:
        files: where they are.
        part: ``train`` or ``t10k``, as the files are named.

    Raises:
        DataError: a file is damaged, or the two do not belong together; names the file.
    """
    images_name = f"{part}-images-idx3-ubyte"
    labels_name = f"{part}-labels-idx1-ubyte"
    images, images_digest = _read(files, images_name, (SIDE, SIDE))
    labels, labels_digest = _read(files, labels_name, ())
    images_path = files.paths[images_name]
    labels_path = files.paths[labels_name]
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path} has {len(labels)} labels, but {images_path.name} beside it has"
            f" {len(images)} images; they must be as many"
        )
    wrong = np.flatnonzero(labels >= CLASSES)
    if len(wrong):
        raise DataError(
            f"{labels_path}: label {labels[wrong[0]]} of example {wrong[0]}, expected 0 to"
            f" {CLASSES - 1}"
        )
    digests = {images_path.name: images_digest, labels_path.name: labels_digest}
    return Pair(images=images, labels=labels, digests=digests)


def _read(files: Files, name: str, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], str]:
    """The array of one file, and the file's SHA-256."""
    path = files.paths[name]
    content = read_bytes(path)
    digest = sha256(content)
    # A user's own files may be others than the published ones; the cache holds only these.
    if files.cached:
        check_cached(path, digest, PUBLISHED[name], "mnist")
    return read_idx(content, path, shape), digest


def _remarks(digests: dict[str, str], train: int, test: int) -> list[str]:
    """What a reader should know of files that are not the published ones."""
    published = {f"{name}.gz": digest for name, digest in PUBLISHED.items()}
    other = [name for name in digests if name in published and digests[name] != published[name]]
    plain = [name for name in digests if not name.endswith(".gz")]
    remarks = []
    if other:
        remarks.append(f"SHA-256 is not the published one: {', '.join(other)}")
    if plain:
        remarks.append(
            f"not gzipped, so not compared with the published SHA-256: {', '.join(plain)}"
        )
    if (train, test) != tuple(PUBLISHED_COUNTS.values()):
        remarks.append(
            f"{train:,} training and {test:,} test images where MNIST has 60,000 and 10,000"
        )
    return remarks


def _advice(folder: Path) -> str:
    return (
        f"Looked before in {VARIABLE} (and its folder mnist) and in the cache {folder}. Without a"
        " network: use data.name=digits (bundled with scikit-learn), or put the four files into a"
        f" folder and set {VARIABLE} or data.path to it."
    )
