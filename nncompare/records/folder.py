"""Result folders: ``<output>/<name>-<time>-<hash>/``.

A folder is built beside its place under a hidden name (``.<id>.partial``) and gets its own name in
one rename, so that a folder that can be seen is complete. A killed process leaves at most the
hidden one, which every reader passes over; the next one that begins a result there publishes what
it finds with a document, and removes the rest::

    with create(Path("results"), "digits-mlp") as folder:
        folder.write_experiment(text)
        folder.write_slices({"torch": slices})
        folder.write_result(result)
        folder.publish()
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path

from nncompare.errors import StoreError
from nncompare.records.atomic import explain, explained, sync_folder, write_text
from nncompare.records.csv import history_text, slices_text
from nncompare.records.ownership import OWNER_FILE, Ownership, remove, taken_over
from nncompare.records.record import Record, to_json
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.runtimes import file_name
from nncompare.wire.slice import Slice

RESULT_FILE = "result.json"
PARTIAL = ".partial"
"""Ending of a folder that is not finished."""


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
        self._partial = output / f".{id}{PARTIAL}"
        self._ownership: Ownership | None = None

    def make(self) -> None:
        """Makes the folder under its hidden name, and with it those above it.

        Raises:
            FileExistsError: there is one.
        """
        self._partial.mkdir(parents=True)
        try:
            self._ownership = Ownership(self._partial)
        except BaseException:
            self.discard()
            raise

    def write_experiment(self, text: str) -> None:
        """``experiment.yaml``: a file that ``nncompare run`` takes as it is."""
        write_text(self._partial / "experiment.yaml", text)

    def write_result(self, record: Record) -> None:
        """``result.json``, strict JSON, replaced as a whole."""
        write_text(self._partial / RESULT_FILE, to_json(record))

    def write_slices(self, slices: Mapping[str, Iterable[Slice]]) -> None:
        """``slices.csv``: the slices of every runtime's training."""
        write_text(self._partial / "slices.csv", slices_text(slices))

    def write_history(self, runtimes: Sequence[TrainedRuntime]) -> None:
        """``history.csv``: one line per runtime and epoch."""
        write_text(self._partial / "history.csv", history_text(runtimes))

    def add_log(self, runtime: str, source: Path) -> None:
        """Copies a worker's log to ``logs/<runtime>.log``."""
        self._copy(source, "logs", f"{file_name(runtime)}.log")

    def add_weights(self, runtime: str, source: Path) -> None:
        """Copies a worker's weights to ``weights/<runtime>.safetensors``: canonical name -> array
        in canonical layout.
        """
        self._copy(source, "weights", f"{file_name(runtime)}.safetensors")

    def _copy(self, source: Path, folder: str, name: str) -> None:
        target = self._partial / folder / name
        # a worker that never came so far has left none
        if source.exists():
            with explained(target):
                # what has ended writes no more: a result that is written again has it whole,
                # unless the disk was full
                if target.exists() and target.stat().st_size == source.stat().st_size:
                    return
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(source, target)

    def publish(self) -> None:
        """Gives the folder its name, in one rename. Nothing is written after it."""
        # readers take a folder by its document
        if not (self._partial / RESULT_FILE).is_file():
            raise StoreError(
                f"{self.path}: write_result comes before publish; a folder without {RESULT_FILE} is"
                " none"
            )
        with explained(self.path):
            _publish(self._partial, self.path)

    def discard(self) -> None:
        """Removes what was written; what is published has another name."""
        remove(self._partial)
        # after that: no other process meets a half of it
        if self._ownership is not None:
            self._ownership.release()

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def _publish(partial: Path, path: Path) -> None:
    """Gives a whole folder its name."""
    sync_folder(partial)
    os.rename(partial, path)
    (path / OWNER_FILE).unlink(missing_ok=True)
    sync_folder(path.parent)


def create(
    output: Path,
    name: str,
    *,
    created: datetime | None = None,
    say: Callable[[str], None] | None = None,
) -> ResultFolder:
    """Begins a result folder under its hidden name, before the training, so that an unwritable
    place shows at once. What killed processes have left there is published or removed first.

    Args:
        output: made if it is not there.
        name: of the experiment.
        created: the time in the folder's name; default: now.
        say: told of each folder that is published.

    Raises:
        StoreError: the folder cannot be made; the message says why and what to do.
    """
    created = created or datetime.now().astimezone()
    with explained(output):
        output.mkdir(parents=True, exist_ok=True)
    for kept in clear_up(output):
        if say is not None:
            say(f"kept what a killed process had finished: {kept}")
    while True:
        folder = ResultFolder(output, f"{name}-{created:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}")
        # another run of the same second may have drawn the same letters
        if folder.path.exists():
            continue
        with explained(output), contextlib.suppress(FileExistsError):
            folder.make()
            return folder


def clear_up(output: Path) -> list[Path]:
    """Publishes or removes the hidden folders that killed processes of this user and host have
    left, and gives those that are published now. Others, and those in use, stay as they are.
    """
    published = []
    for partial in output.glob(f".*{PARTIAL}"):
        with taken_over(partial) as is_abandoned, contextlib.suppress(OSError):
            # without a document nothing in it is finished
            if is_abandoned and not (partial / RESULT_FILE).is_file():
                remove(partial)
            elif is_abandoned:
                path = output / partial.name.removeprefix(".").removesuffix(PARTIAL)
                _publish(partial, path)
                published.append(path)
    return published


def create_if_stored(
    output: Path | None,
    name: str,
    *,
    created: datetime,
    say: Callable[[str], None] | None = None,
) -> AbstractContextManager[ResultFolder | None]:
    """``create`` for a study whose result need not be stored: None where ``output`` is None."""
    return nullcontext() if output is None else create(output, name, created=created, say=say)


def check_place(output: Path) -> None:
    """Whether ``create`` could make a folder there, without making one.

    Raises:
        StoreError: a file is in the way, or there is no permission.
    """
    # a run makes the folders that are missing, so the nearest one that is there decides
    place = output.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    # the same words as where a run fails at it
    if not place.is_dir():
        raise explain(NotADirectoryError(errno.ENOTDIR, "not a folder"), output)
    if not os.access(place, os.W_OK | os.X_OK):
        raise explain(PermissionError(errno.EACCES, "no permission"), output)
