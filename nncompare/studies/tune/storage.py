"""Where a search is kept: Optuna's journal file in the result folder, or a PostgreSQL database."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from nncompare.errors import ConfigError, Problem, StoreError
from nncompare.launch.scratch import TEMPORARY

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

JOURNAL = "study.journal"
HELD = ".held"
"""Locked by the process that works on a search; it holds the journal's size in bytes after the last
finished trial.
"""
CONNECT_S = 4
"""For one address of a database; a name may have two."""
HEARTBEAT_S = 10
GRACE_S = 40
"""A trial of a database whose process has been silent for so long is given to another process."""
_LOCK_GRACE_S = 5
"""A lock that is so old was left by a process that was killed: it is held for milliseconds."""
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_END_STATES = [state for state in TrialState if state.is_finished()]


class _Journal(JournalFileBackend):
    """Optuna's journal, which waits for the disk only where a trial ends.

    What is written before that is worth nothing without the end, and a killed process loses nothing
    that it has written, on the disk or not. A trial writes about forty times, and waiting for a
    disk takes about 4 ms each time.
    """

    def __init__(self, path: Path):
        self.path = path
        self.lock = JournalFileOpenLock(str(path), grace_period=_LOCK_GRACE_S)
        super().__init__(str(path), lock_obj=self.lock)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Adds one line for each log."""
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        ends_a_trial = any(log.get("state") in _END_STATES for log in logs)
        with self.locked(), self.path.open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            # What is finished is not trained again, so it must outlive a power cut.
            if ends_a_trial:
                os.fsync(file.fileno())
                self._remember_size(file.tell())

    def _remember_size(self, size: int) -> None:
        """So that a journal from which something was cut off is known as one."""
        # The trial itself is stored, and that is what matters.
        with contextlib.suppress(OSError):
            self.path.with_name(HELD).write_text(f"{size}\n")

    def cut_torn_line(self) -> None:
        """Removes what a crash has left of a line."""
        with self.locked():
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            # What follows would be glued to the torn line, and the journal unreadable from there.
            if whole < len(content):
                os.truncate(self.path, whole)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing, plain Optuna's among them."""
        self.lock.acquire()
        try:
            yield
        finally:
            self.lock.release()


def remembered_size(folder: Path) -> int | None:
    """The size that a folder's journal had after the last finished trial; None: it is not known."""
    try:
        return int((folder / HELD).read_text())
    except (OSError, ValueError):
        return None


def open_journal(path: Path) -> BaseStorage:
    """The storage in a file, which is made if it is missing."""
    backend = _Journal(path)
    backend.cut_torn_line()
    return JournalStorage(backend)


def open_database(url: str) -> BaseStorage:
    """A PostgreSQL database, which any number of machines may share.

    Raises:
        ConfigError: another kind of URL, the driver is missing, or no server answers.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        message = (
            "only postgresql://user:password@host/database is known; without --storage a file is"
            " used"
        )
        raise _url_error(url, message)
    try:
        import psycopg  # noqa: F401 - SQLAlchemy imports it by its name in the URL
    except ImportError:
        message = 'not installed: psycopg; pip install "psycopg[binary]>=3.2"'
        raise _url_error(url, message) from None
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return optuna.storages.RDBStorage(
            f"postgresql+psycopg://{rest}",
            engine_kwargs={"connect_args": {"connect_timeout": CONNECT_S}, "pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT_S,
            grace_period=GRACE_S,
        )
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise _url_error(url, f"no connection: {_first_line(error)}") from None


@contextlib.contextmanager
def explain_storage_errors(folder: Path, url: str | None) -> Iterator[None]:
    """Says what to do when the storage fails in the midst of a search.

    Raises:
        StoreError: the database has gone, or a disk is full; the message names which.
    """
    option = f"--storage {redact_password(url)}" if url else ""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        # Optuna wraps what the database's driver says.
        place = option or str(folder)
        reason = _first_line(error.__cause__ or error)
    except OSError as error:
        place = str(failed_place(error, folder))
        reason = error.strerror or str(error)
        if place.startswith(tempfile.gettempdir()) and not str(folder).startswith(place):
            reason += f" (another place for temporary files: {TEMPORARY})"
    else:
        return
    again = f"nncompare tune --resume {folder} {option}".rstrip()
    raise StoreError(f"{place}: {reason}; finished trials are kept: mend it, then {again}")


def failed_place(error: OSError, folder: Path) -> Path | str:
    """What could not be written: the file that the error names, or the folder whose disk is full.

    Args:
        folder: the result folder; else it is the one for temporary files.
    """
    if error.filename is not None:
        return os.fsdecode(error.filename)
    temporary = Path(tempfile.gettempdir())
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return folder
    # Writing to an open file names none: the fuller disk has no room.
    return min((folder, temporary), key=_free_bytes)


def _free_bytes(folder: Path) -> float:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return float("inf")


def redact_password(url: str) -> str:
    """The URL without its password."""
    scheme, separator, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    user, colon, _ = account.partition(":")
    hidden = ":…" if colon else ""
    return f"{scheme}{separator}{user}{hidden}{at}{place}"


def _first_line(error: BaseException) -> str:
    """What a database's driver says, which stands in SQLAlchemy's ``orig``."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return said[0] if said else type(error).__name__


def _url_error(url: str, message: str) -> ConfigError:
    source = f"--storage {redact_password(url)}"
    return ConfigError([Problem(path="", source=source, message=message)])
