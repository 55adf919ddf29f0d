"""Where a search is kept: Optuna's journal file in the result folder, or a PostgreSQL database.

Trials are made ahead in the state WAITING, as many as were asked for and no more; whoever is free
takes the next one. So the number of trials is what was asked however often a process dies, and a
trial that was under way in a process that has died goes back to WAITING and is trained again under
its own number.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock, get_lock_file
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nncompare.errors import ConfigError, Problem, StoreError

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

JOURNAL = "study.journal"
CONNECT_S = 4
"""For one address of a database; a name may have two."""
HEARTBEAT_S = 10
GRACE_S = 40
"""A trial of a database whose process has been silent for so long is given to another process."""
_AT_A_TIME = 32
"""Trials that are made ahead."""
_ENDS = [state for state in TrialState if state.is_finished()]
_OWNER = "nncompare:owner"


class _Lock(BaseJournalFileLock):
    """A lock on the journal that the system releases when its holder dies, unlike Optuna's own,
    which is a file.
    """

    def __init__(self, journal: Path):
        self._path = journal.with_suffix(".lock")
        self._file: int | None = None

    def acquire(self) -> bool:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Journal(JournalFileBackend):
    """Optuna's journal, which waits for the disk only where a trial ends: what is written before
    that is worth nothing without the end, and a killed process loses nothing that it has written,
    on the disk or not.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(f"{json.dumps(log, separators=(',', ':'))}\n" for log in logs)
        with get_lock_file(self._lock), open(self._file_path, "ab") as file:
            file.write(text.encode())
            file.flush()
            if any(log.get("state") in _ENDS for log in logs):
                os.fsync(file.fileno())


def journal(path: Path) -> BaseStorage:
    """The storage in a file; a line that a crash has torn is cut off."""
    lock = _Lock(path)
    lock.acquire()
    try:
        if path.exists():
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(path, whole)
    finally:
        lock.release()
    return JournalStorage(_Journal(str(path), lock_obj=lock))


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Holds a result folder for this process.

    Raises:
        StoreError: another process holds it.
    """
    descriptor = os.open(folder / ".held", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"{folder}: another process works on this search; wait for it, or stop it"
            ) from None
        yield
    finally:
        os.close(descriptor)


def database(url: str) -> BaseStorage:
    """A PostgreSQL database, which any number of machines may share.

    Raises:
        ConfigError: another kind of URL, the driver is missing, or no server answers.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise _bad(
            url,
            "only postgresql://user:password@host/database is known; without --storage a file is"
            " used",
        )
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise _bad(url, 'not installed: psycopg; pip install "nncompare[postgres]"') from None
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return optuna.storages.RDBStorage(
            f"postgresql+psycopg://{rest}",
            engine_kwargs={"connect_args": {"connect_timeout": CONNECT_S}, "pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT_S,
            grace_period=GRACE_S,
        )
    except (SQLAlchemyError, ImportError, ValueError) as error:
        lines = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise _bad(url, f"no connection: {lines[0] if lines else type(error).__name__}") from None


@contextlib.contextmanager
def explained(folder: Path, url: str | None) -> Iterator[None]:
    """Says what to do when the storage fails in the midst of a search.

    Raises:
        StoreError: the database has gone, or the disk is full.
    """
    place = f"--storage {redact_password(url)}" if url else str(folder)
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        cause = error.__cause__ or error
        line = next(
            iter(str(getattr(cause, "orig", None) or cause).strip().splitlines()),
            type(cause).__name__,
        )
    except OSError as error:
        line = error.strerror or str(error)
    else:
        return
    again = f"nncompare tune --resume {folder}{f' --storage {redact_password(url)}' if url else ''}"
    raise StoreError(f"{place}: {line}; finished trials are kept: mend it, then {again}")


def redact_password(url: str) -> str:
    """The URL without its password."""
    scheme, separator, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{user.partition(':')[0]}{':…' if ':' in user else ''}{at}{place}"


def _bad(url: str, message: str) -> ConfigError:
    return ConfigError(
        [Problem(path="", source=f"--storage {redact_password(url)}", message=message)]
    )


@dataclass(frozen=True)
class Study:
    """One search in a storage.

    Args:
        storage: journal or database.
        name: of the study.
        shared: other processes may work on it.
    """

    storage: BaseStorage
    name: str
    shared: bool

    @classmethod
    def make(
        cls,
        storage: BaseStorage,
        name: str,
        directions: Sequence[str],
        attributes: Mapping[str, Any],
        *,
        shared: bool,
    ) -> Study:
        """Opens it, or makes it with its attributes."""
        try:
            kinds = [StudyDirection[direction.upper()] for direction in directions]
            study_id = storage.create_new_study(kinds, name)
            for key, value in attributes.items():
                storage.set_study_user_attr(study_id, key, value)
        except optuna.exceptions.DuplicatedStudyError:
            pass
        return cls(storage, name, shared)

    @property
    def id(self) -> int:
        return self.storage.get_study_id_from_name(self.name)

    def load(self, **settings: Any) -> optuna.Study:
        """Optuna's own view, with a sampler and a pruner."""
        return optuna.load_study(study_name=self.name, storage=self.storage, **settings)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.storage.get_all_trials(self.id, deepcopy=False, states=states or None)

    def top_up(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Makes waiting trials for the next points that have none yet, a few at a time; an empty
        point leaves all to the sampler.
        """
        with self._alone():
            study, have = self.load(), len(self.trials())
            for point in points[have : have + _AT_A_TIME]:
                study.enqueue_trial(dict(point))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other processes from doing the same at the same time."""
        if not isinstance(self.storage, optuna.storages.RDBStorage):
            yield
            return
        from sqlalchemy import text

        key = int.from_bytes(self.name.encode()[-7:], "big")
        with self.storage.engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})

    def take(self, points: Sequence[Mapping[str, Any]]) -> FrozenTrial | None:
        """The next waiting trial, now running; None if as many as there are points are done or
        under way.
        """
        total = len(points)
        if not self.trials(TrialState.WAITING) and len(self.trials()) < total:
            self.top_up(points)
        for waiting in self.trials(TrialState.WAITING):
            busy = len(self.trials()) - len(self.trials(TrialState.WAITING))
            if busy >= total:
                return None
            with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
                if self.storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING):
                    self.beat([waiting._trial_id])
                    self.storage.set_trial_system_attr(
                        waiting._trial_id, _OWNER, f"{os.uname().nodename}/{os.getpid()}"
                    )
                    return self.storage.get_trial(waiting._trial_id)
        return None

    def release(self, trial_id: int) -> None:
        """Back to waiting: it was not trained to its end."""
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            self.storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def beat(self, trial_ids: Sequence[int]) -> None:
        """Says that these trials are alive."""
        if isinstance(self.storage, optuna.storages.RDBStorage):
            for trial_id in trial_ids:
                self.storage.record_heartbeat(trial_id)

    def reclaim(self) -> list[int]:
        """Sets back the trials of processes that have died; their numbers.

        In a journal, whose folder this process holds, every running trial that it has not begun
        itself is one; in a database those whose heart has stopped.
        """
        running = self.trials(TrialState.RUNNING)
        if isinstance(self.storage, optuna.storages.RDBStorage):
            stale = set(self.storage._get_stale_trial_ids(self.id))
            limit = datetime.now() - timedelta(seconds=GRACE_S)
            running = [
                trial for trial in running if trial._trial_id in stale or _never_begun(trial, limit)
            ]
        for trial in running:
            self.release(trial._trial_id)
        return [trial.number for trial in running]


def _never_begun(trial: FrozenTrial, limit: datetime) -> bool:
    """Its process died between taking it and its first heartbeat."""
    return (
        _OWNER not in trial.system_attrs
        and trial.datetime_start is not None
        and trial.datetime_start < limit
    )
