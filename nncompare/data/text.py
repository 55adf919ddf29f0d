"""``text``: the next character at every position of a window of a text file.

Without ``data.path`` the text is tinyshakespeare (Karpathy 2015, char-rnn), looked for in
``NNCOMPARE_DATA_DIR`` and the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from nncompare.spec.data import Task, Text

Report = Callable[[str], None]
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


def signature(spec: Text, task: Task) -> Signature:
    """``(window,)`` tokens of as many characters as the text has; one next character a step.

    Raises:
        DataError: the file is not at hand (says where it was looked for and how to get it), not
            UTF-8, or has fewer than two different characters.
    """
    return _signature(spec, read_corpus(locate(spec)))


def prepare(spec: Text, task: Task, seed: int, dtype: np.dtype[Any]) -> Data:
    """Consecutive parts, training | validation | test; no window crosses a border.

    ``limit`` windows are taken from the beginning of the text. Target t of a window is the
    character after its character t.

    Raises:
        DataError: as ``signature``, or a part is shorter than a window and one character.
    """
    corpus = read_corpus(locate(spec))
    stride = spec.stride or spec.window
    size = len(corpus.tokens)
    pool = size - round(size * spec.test)
    used = pool if spec.limit is None else min(pool, (spec.limit - 1) * stride + spec.window + 1)
    border = used - round(used * spec.validation)
    spans = {"train": (0, border), "validation": (border, used), "test": (pool, size)}
    return Data(
        **{part: _windows(corpus.tokens[slice(*span)], spec, part) for part, span in spans.items()},
        signature=_signature(spec, corpus),
        digests={corpus.path.name: corpus.digest},
        notes=(
            (
                f"text: {size:,} characters, {len(corpus.vocabulary)} different ones, from"
                f" {corpus.path}"
            ),
            "characters of the parts: "
            + ", ".join(f"{part} {end - begin:,}" for part, (begin, end) in spans.items()),
        ),
    )


def ensure(spec: Text, report: Report) -> Path:
    """Finds the file, or downloads it into the cache."""
    if not _candidates(spec):
        cached = _cached()
        advice = (
            f"Without a network: set data.path to a text file, or {VARIABLE} to a folder with"
            " input.txt."
        )
        download(MIRRORS, cached, sha256=PUBLISHED, advice=advice, report=report)
    return locate(spec)


def at_hand(spec: Text) -> Path | None:
    """The file, None if it would have to be downloaded.

    Raises:
        DataError: ``data.path`` is not a file.
    """
    return next(iter(_candidates(spec)), None)


def fetch(report: Report) -> Path:
    """Downloads tinyshakespeare if it is missing or damaged.

    Returns:
        The file.
    """
    spec, cached = Text(name="text"), _cached()
    if _candidates(spec) == [cached] and sha256(read_bytes(cached)) != PUBLISHED:
        report(
            f"{cached.name}: the digest in the cache is not the published one; fetching it again"
        )
        download(MIRRORS, cached, sha256=PUBLISHED, advice=f"Delete {cached}.", report=report)
    corpus = read_corpus(ensure(spec, report))
    report(f"text: {len(corpus.tokens):,} characters checked in {corpus.path}")
    return corpus.path


def locate(spec: Text) -> Path:
    """The text's file, without a download.

    Raises:
        DataError: it is not at hand; names the places and the ways to get it.
    """
    found = _candidates(spec)
    if found:
        return found[0]
    root = data_folder()
    places = [] if root is None else [str(path) for path in _in_folder(root)]
    raise DataError(
        f"the text of data {spec.name} is not at hand. Looked for:"
        f" {', '.join([*places, str(_cached())])}{'' if root else f' ({VARIABLE} is not set)'}. Get"
        " it with: nncompare data fetch text, or set data.path to any UTF-8 text file"
    )


def read_corpus(path: Path) -> Corpus:
    """Reads and numbers a text.

    Raises:
        DataError: not readable, not UTF-8, fewer than two different characters, or damaged in the
            cache.
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
    codes, known = (np.frombuffer(part.encode("utf-32-le"), "<u4") for part in (text, vocabulary))
    tokens = np.searchsorted(known, codes).astype(np.int32)
    return Corpus(path=path, digest=digest, vocabulary=vocabulary, tokens=tokens)


def _candidates(spec: Text) -> list[Path]:
    """The existing files, first the one to take."""
    if spec.path is not None:
        path = Path(spec.path).expanduser()
        if not path.is_file():
            raise DataError(f"data.path: {spec.path} is not a file (looked for {path.absolute()})")
        return [path]
    root = data_folder()
    return [path for path in (*(_in_folder(root) if root else ()), _cached()) if path.is_file()]


def _in_folder(root: Path) -> tuple[Path, Path]:
    return root / "tinyshakespeare" / "input.txt", root / "input.txt"


def _cached() -> Path:
    return cache_folder() / "tinyshakespeare" / "input.txt"


def _signature(spec: Text, corpus: Corpus) -> Signature:
    characters = len(corpus.vocabulary)
    return Signature(
        input=TensorSpec((spec.window,), characters), outputs=characters, per_step=True
    )


def _windows(tokens: NDArray[np.int32], spec: Text, part: str) -> Split:
    """Windows ``(N, window)`` and, one character later, their targets ``(N, window)``."""
    if len(tokens) < spec.window + 1:
        key = "" if part == "train" else f", raise data.{part}"
        raise DataError(
            f"data.window: the {part} part has {len(tokens)} characters, a window of {spec.window}"
            f" needs {spec.window + 1}; lower data.window{key}, or take a longer text"
        )
    pieces = np.lib.stride_tricks.sliding_window_view(tokens, spec.window + 1)[
        :: spec.stride or spec.window
    ]
    return Split(x=np.ascontiguousarray(pieces[:, :-1]), y=np.ascontiguousarray(pieces[:, 1:]))
