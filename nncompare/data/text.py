"""``text``: the next character at every position of a window of a text file.

Without ``data.path`` the text is tinyshakespeare (Karpathy 2015, char-rnn), looked for in
``NNCOMPARE_DATA_DIR`` and the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nncompare.data.base import Data, Signature, Split, TensorSpec
from nncompare.data.download import download
from nncompare.data.lookup import (
    VARIABLE,
    cache_folder,
    check_cached,
    data_folder,
    read_bytes,
    sha256,
)
from nncompare.errors import DataError
from nncompare.spec.data import DataSet, Fraction, Report, Starter, Task
from nncompare.spec.frozen import LIMIT

MIRRORS = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
)
PUBLISHED = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
"""SHA-256 of ``input.txt``."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A text as numbers.

    Args:
        path: its file.
        digest: SHA-256 of the file.
        vocabulary: sorted distinct characters of the whole text.
        tokens: ``(characters,)`` int32, places in the vocabulary.
    """

    path: Path
    digest: str
    vocabulary: str
    tokens: NDArray[np.int32]


class Text(DataSet):
    """The next character at every position of a window of a text file; without a `path`
    tinyshakespeare (Karpathy 2015, char-rnn).
    """

    tasks = ("classification",)
    title = "the next character at every position of a window of a text file"
    ordered = True
    download = "text"
    starter = Starter(model="tokens")

    name: Literal["text"]
    path: str | None = None
    """A UTF-8 text file; default: tinyshakespeare from NNCOMPARE_DATA_DIR or the cache, where
    `nncompare data fetch text` puts it.
    """
    window: int = Field(default=64, gt=0, le=LIMIT)
    """Characters the model sees at a time."""
    stride: int | None = Field(default=None, gt=0, le=LIMIT)
    """Characters between the starts of two windows; default: the window, so that they do not
    overlap.
    """
    test: Fraction = 0.1
    """Share at the end of the text held back as the test set; validation is the part before it."""

    def signature(self, task: Task) -> Signature:
        """``(window,)`` tokens of as many characters as the text has; one next character a step.

        Raises:
            DataError: the file is not at hand (says where it was looked for and how to get it), not
                UTF-8, or has fewer than two different characters.
        """
        characters = len(read_corpus(locate(self.path)).vocabulary)
        return Signature(
            input=TensorSpec((self.window,), characters), outputs=characters, per_step=True
        )

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """Consecutive parts, training | validation | test; no window crosses a border.

        ``limit`` windows are taken from the beginning of the text. Target t of a window is the
        character after its character t.

        Raises:
            DataError: as ``signature``, or a part is shorter than a window and one character.
        """
        corpus = read_corpus(locate(self.path))
        spans = self._spans(len(corpus.tokens))
        sizes = ", ".join(f"{part} {end - begin:,}" for part, (begin, end) in spans.items())
        return Data(
            **{
                part: self._windows(corpus.tokens[begin:end], part)
                for part, (begin, end) in spans.items()
            },
            signature=self.signature(task),
            digests={corpus.path.name: corpus.digest},
            notes=(
                (
                    f"text: {len(corpus.tokens):,} characters, {len(corpus.vocabulary)} different"
                    f" ones, from {corpus.path}"
                ),
                f"characters of the parts: {sizes}",
            ),
        )

    def _spans(self, size: int) -> dict[str, tuple[int, int]]:
        """Part -> its first character and the one after its last, in a text of ``size``."""
        pool = size - round(size * self.test)
        # of a text that is long enough by itself
        if pool <= self.window < size:
            raise DataError(
                f"data.test: {self.test} of {size} characters leaves {pool} for training and"
                f" validation, a window of {self.window} needs {self.window + 1}; lower it"
            )
        used = pool
        if self.limit is not None:
            used = min(pool, (self.limit - 1) * self._stride + self.window + 1)
        border = used - round(used * self.validation)
        return {"train": (0, border), "validation": (border, used), "test": (pool, size)}

    def _windows(self, tokens: NDArray[np.int32], part: str) -> Split:
        """Windows ``(N, window)`` and, one character later, their targets ``(N, window)``."""
        if len(tokens) < self.window + 1:
            key = "" if part == "train" else f", raise data.{part}"
            raise DataError(
                f"data.window: the {part} part has {len(tokens)} characters, a window of"
                f" {self.window} needs {self.window + 1}; lower data.window{key}, or take a longer"
                " text"
            )
        every = np.lib.stride_tricks.sliding_window_view(tokens, self.window + 1)
        pieces = every[:: self._stride]
        return Split(x=np.ascontiguousarray(pieces[:, :-1]), y=np.ascontiguousarray(pieces[:, 1:]))

    @property
    def _stride(self) -> int:
        return self.stride or self.window

    def place(self) -> Path | None:
        """The file, None if it would have to be downloaded.

        Raises:
            DataError: ``data.path`` is not a file.
        """
        return next(iter(_candidates(self.path)), None)

    def ensure(self, report: Report) -> None:
        """Downloads tinyshakespeare into the cache if no file is at hand."""
        ensure(self.path, report)

    @classmethod
    def fetch(cls, report: Report) -> Path:
        """Downloads tinyshakespeare if it is missing or damaged.

        Returns:
            The file.
        """
        cached = _cached()
        # A user's own file comes before the cache, and is never replaced.
        if _candidates(None) == [cached] and sha256(read_bytes(cached)) != PUBLISHED:
            report(
                f"{cached.name}: the digest in the cache is not the published one; fetching it"
                " again"
            )
            download(MIRRORS, cached, sha256=PUBLISHED, advice=f"Delete {cached}.", report=report)
        corpus = read_corpus(ensure(None, report))
        report(f"text: {len(corpus.tokens):,} characters checked in {corpus.path}")
        return corpus.path


def ensure(path: str | None, report: Report) -> Path:
    """Finds the file, or downloads it into the cache.

    Args:
        path: the file that ``data.path`` names.
        report: is told each step in one line.
    """
    if not _candidates(path):
        advice = (
            f"Without a network: set data.path to a text file, or {VARIABLE} to a folder with"
            " input.txt."
        )
        download(MIRRORS, _cached(), sha256=PUBLISHED, advice=advice, report=report)
    return locate(path)


def locate(path: str | None) -> Path:
    """The text's file, without a download.

    Args:
        path: the file that ``data.path`` names.

    Raises:
        DataError: it is not at hand; names the places and the ways to get it.
    """
    found = _candidates(path)
    if found:
        return found[0]
    root = data_folder()
    places = [_cached()] if root is None else [*_in_folder(root), _cached()]
    looked_for = ", ".join(str(place) for place in places)
    unset = f" ({VARIABLE} is not set)" if root is None else ""
    raise DataError(
        f"the text of data text is not at hand. Looked for: {looked_for}{unset}. Get it with:"
        " nncompare data fetch text, or set data.path to any UTF-8 text file"
    )


def read_corpus(path: Path) -> Corpus:
    """Reads and numbers a text, once as long as its file stays the same.

    Raises:
        DataError: not readable, not UTF-8, fewer than two different characters, or damaged in the
            cache.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    return _read_corpus(path, (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=1)
def _read_corpus(path: Path, state: tuple[int, int]) -> Corpus:  # noqa: ARG001 - part of the key
    """Keeps the last text, since the signature needs its vocabulary and the preparation all of it.

    Args:
        path: the file.
        state: its time and size, so that a changed file is read again.
    """
    content = read_bytes(path)
    digest = sha256(content)
    if path == _cached():
        check_cached(path, digest, PUBLISHED, "text")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: byte {content[error.start]:#04x} at position {error.start};"
            " convert it, for example with iconv -t UTF-8"
        ) from None
    vocabulary = "".join(sorted(set(text)))
    if len(vocabulary) < 2:
        raise DataError(
            f"{path} has {len(vocabulary)} different characters; a text to learn from needs at"
            " least 2"
        )
    tokens = np.searchsorted(_codes(vocabulary), _codes(text)).astype(np.int32)
    return Corpus(path=path, digest=digest, vocabulary=vocabulary, tokens=tokens)


def _candidates(path: str | None) -> list[Path]:
    """The existing files, first the one to take."""
    if path is not None:
        file = Path(path).expanduser()
        if not file.is_file():
            raise DataError(f"data.path: {path} is not a file (looked for {file.absolute()})")
        return [file]
    root = data_folder()
    places = [_cached()] if root is None else [*_in_folder(root), _cached()]
    return [place for place in places if place.is_file()]


def _in_folder(root: Path) -> tuple[Path, Path]:
    return root / "tinyshakespeare" / "input.txt", root / "input.txt"


def _cached() -> Path:
    return cache_folder() / "tinyshakespeare" / "input.txt"


def _codes(text: str) -> NDArray[np.uint32]:
    """The number of every character."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
