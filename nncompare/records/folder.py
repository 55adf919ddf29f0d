"""Result folders: ``<output>/<name>-<time>-<hash>/``.

A folder is built beside its place under a hidden name (``.<id>.partial``) and gets its own name in
one rename, so that a folder that can be seen is complete. A crash leaves at most the hidden one,
which every reader passes over::

    with create(Path("results"), "digits-mlp") as folder:
        folder.write_experiment(text)
        folder.append_slices("torch", slices)
        folder.write_result(result)
        folder.publish()
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.errors import StoreError
from nncompare.records import csv as tables
from nncompare.records.atomic import explain, explained, sync_folder, write_bytes, write_text
from nncompare.records.codec import from_json, to_json
from nncompare.records.csv import Sample, read_slices
from nncompare.records.result import Document, RunResult

RESULT_FILE = "result.json"
_PARTIAL = ".partial"


class ResultFolder:
    """One result on its way to the disk. Made by ``create``.

    Leaving the ``with`` block without ``publish`` removes everything that was written.
    Every method raises ``StoreError`` with the path and the fix if the system refuses.
    """

    def __init__(self, output: Path, id: str):
        self.id = id
        """The folder's name, and the ``id`` of its document."""
        self.path = output / id
        """Where the folder stands once it is published."""
        self._partial = output / f".{id}{_PARTIAL}"

    @property
    def published(self) -> bool:
        return not self._partial.exists()

    @property
    def _root(self) -> Path:
        return self.path if self.published else self._partial

    def write_experiment(self, text: str) -> None:
        """``experiment.yaml``: a file that ``nncompare run`` takes as it is."""
        write_text(self._root / "experiment.yaml", text)

    def write_result(self, result: Document) -> None:
        """``result.json``, strict JSON, replaced as a whole."""
        write_text(self._root / RESULT_FILE, to_json(result))

    def append_slices(
        self, runtime: str, slices: Iterable[Sequence[Any]], *, round: int = 1
    ) -> None:
        """Adds raw samples ``(epoch from 0, begin, end, seconds, loss, phase)`` to
        ``slices.csv``.
        """
        text = tables.slice_lines(runtime, slices, round=round)
        tables.append(self._root / "slices.csv", text, columns=tables.SLICE_COLUMNS)

    def write_history(self, result: RunResult) -> None:
        """``history.csv``: one line per runtime and epoch."""
        write_text(self._root / "history.csv", tables.history_text(result))

    def add_log(self, runtime: str, source: Path) -> None:
        """Copies a worker's log to ``logs/<runtime>.log``."""
        target = self._inside("logs", f"{_file_name(runtime)}.log")
        with explained(target):
            shutil.copyfile(source, target)

    def weights_path(self, runtime: str) -> Path:
        """Where ``weights/<runtime>.safetensors`` belongs; its folder exists."""
        return self._inside("weights", f"{_file_name(runtime)}.safetensors")

    def write_weights(self, runtime: str, params: Mapping[str, NDArray[Any]]) -> None:
        """``weights/<runtime>.safetensors``: canonical name -> array in canonical layout."""
        from safetensors.numpy import save

        content = save({name: np.ascontiguousarray(array) for name, array in params.items()})
        write_bytes(self.weights_path(runtime), content)

    def publish(self) -> None:
        """Gives the folder its name, in one rename. A second call does nothing."""
        if self.published:
            return
        if not (self._partial / RESULT_FILE).is_file():
            raise StoreError(
                f"{self.path}: write_result comes before publish; a folder without {RESULT_FILE} is"
                " none"
            )
        with explained(self.path):
            sync_folder(self._partial)
            os.rename(self._partial, self.path)
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Removes what was written, unless it is published."""
        if not self.published:
            shutil.rmtree(self._partial, ignore_errors=True)

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def _inside(self, folder: str, name: str) -> Path:
        place = self._root / folder
        with explained(place):
            place.mkdir(exist_ok=True)
        return place / name


def create(
    output: Path, name: str, *, created: datetime | None = None, identity: str = ""
) -> ResultFolder:
    """Begins a result folder under its hidden name, before the training, so that an unwritable
    place shows at once.

    Args:
        output: made if it is not there.
        name: of the experiment.
        created: the time in the folder's name; default: now.
        identity: what else the hash is of (the resolved experiment, the environment). The hash is
            unique without it: it is also of the time and of random bytes.

    Raises:
        StoreError: the folder cannot be made; the message says why and what to do.
    """
    created = created or datetime.now().astimezone()
    with explained(output):
        output.mkdir(parents=True, exist_ok=True)
    while True:
        salt = os.urandom(16).hex()
        digest = hashlib.sha256(
            "\0".join((name, created.isoformat(), identity, salt)).encode()
        ).hexdigest()[:8]
        folder = ResultFolder(output, f"{name}-{created:%Y%m%d-%H%M%S}-{digest}")
        if folder.path.exists():
            continue
        with explained(output), contextlib.suppress(FileExistsError):
            folder._partial.mkdir()
            return folder


def check_place(output: Path) -> None:
    """Whether ``create`` could make a folder there, without making one.

    Raises:
        StoreError: a file is in the way, or there is no permission.
    """
    place = output.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise explain(NotADirectoryError(errno.ENOTDIR, "not a folder"), output)
    if not os.access(place, os.W_OK | os.X_OK):
        raise explain(PermissionError(errno.EACCES, "no permission"), output)


def read(path: Path) -> RunResult:
    """A stored run.

    Args:
        path: a result folder or a ``result.json``.

    Raises:
        StoreError: missing, unfinished, damaged, or of another version or kind; the message names
            the file.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        text = file.read_bytes().decode()
    except FileNotFoundError:
        raise StoreError(_missing(path)) from None
    except UnicodeDecodeError as error:
        raise StoreError(f"{file}: damaged: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}") from None
    return from_json(text, source=str(file))


def _missing(path: Path) -> str:
    if path.is_dir():
        if path.name.endswith(_PARTIAL):
            return (
                f"{path}: left behind by a run that did not end; it holds no result and may be"
                " removed"
            )
        inside = sorted(child.parent.name for child in path.glob(f"*/{RESULT_FILE}"))
        hint = f"; did you mean {path / inside[-1]}?" if inside else ""
        return f"{path}: no {RESULT_FILE} in this folder{hint}"
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(
        path.name, [name for name in siblings if not name.startswith(".")], n=1
    )
    return f"{path}: no such result" + (
        f"; did you mean {path.parent / close[0]}?" if close else ""
    )


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What an output folder holds.

    Args:
        runs: (folder, document), newest first.
        problems: one line for every folder that was passed over because its document cannot be
            read.
    """

    runs: tuple[tuple[Path, RunResult], ...]
    problems: tuple[str, ...] = ()


def runs(output: Path) -> Stored:
    """Every run below ``output``. Hidden folders (unfinished runs) and folders of other things are
    passed over.

    Raises:
        StoreError: ``output`` is missing or not a folder.
    """
    if not output.is_dir():
        state = "a file, not a folder" if output.exists() else "no such folder"
        raise StoreError(
            f"{output}: {state}; results are stored where --output DIR says, by default in results/"
        )
    found, problems = [], []
    for folder in sorted(output.iterdir()):
        if folder.name.startswith(".") or not (folder / RESULT_FILE).is_file():
            continue
        try:
            found.append((folder, read(folder)))
        except StoreError as error:
            problems.append(str(error))
    found.sort(
        key=lambda item: (datetime.fromisoformat(item[1].created), item[0].name), reverse=True
    )
    return Stored(runs=tuple(found), problems=tuple(problems))


def _file_name(runtime: str) -> str:
    """``torch:compile`` -> ``torch-compile``: a colon is no part of a file name on every system."""
    return runtime.replace(":", "-")


__all__ = [
    "ResultFolder",
    "Sample",
    "Stored",
    "check_place",
    "create",
    "read",
    "read_slices",
    "runs",
]
