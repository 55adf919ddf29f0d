"""One search in a storage: trials are made ahead, taken, given back and reclaimed.

Trials are made in the state WAITING, as many as were asked for and no more; whoever is free takes
the next one. So the number of trials is what was asked however often a process dies, and a trial
that was under way in a process that has died goes back to WAITING and is trained again under its
own number.

That is why ``optuna.Study.ask`` does not serve: it makes a new trial where another process has
taken the last waiting one, and it asks its sampler before the trial's number is known, of which the
sampler's seed is made (``samplers``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

_AT_A_TIME = 32
"""Trials that are made ahead."""
_OWNER = "nncompare:owner"
"""The system attribute with the machine and process that have taken a trial."""


class StoredStudy:
    """One search in a storage. Trials are named by their numbers, from 0.

    Args:
        storage: journal or database.
        name: of the study.
    """

    def __init__(self, storage: BaseStorage, name: str):
        self.storage = storage
        self.database = storage if isinstance(storage, RDBStorage) else None
        """The storage, where other processes may work on the study too. A journal's folder is held
        by this process.
        """
        self.name = name
        self.id = storage.get_study_id_from_name(name)
        self._trial_ids: dict[int, int] = {}

    @classmethod
    def open_or_create(
        cls,
        storage: BaseStorage,
        name: str,
        directions: Sequence[str],
        attributes: Mapping[str, Any],
    ) -> StoredStudy:
        """Opens a study, or makes it with its attributes."""
        kinds = [StudyDirection[direction.upper()] for direction in directions]
        # It is there after a resume, and where another process of the search was quicker.
        with contextlib.suppress(optuna.exceptions.DuplicatedStudyError):
            study_id = storage.create_new_study(kinds, name)
            for key, value in attributes.items():
                storage.set_study_user_attr(study_id, key, value)
        return cls(storage, name)

    @property
    def user_attributes(self) -> dict[str, Any]:
        """What was written of the search itself."""
        return self.storage.get_study_user_attrs(self.id)

    def optuna_study(self, **settings: Any) -> optuna.Study:
        """Optuna's own view, with a sampler and a pruner."""
        return optuna.load_study(study_name=self.name, storage=self.storage, **settings)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in these states, or all, by their numbers."""
        return self.storage.get_all_trials(self.id, deepcopy=False, states=states or None)

    def trial(self, number: int) -> FrozenTrial:
        """One trial as it stands in the storage."""
        return self.storage.get_trial(self.trial_id(number))

    def trial_id(self, number: int) -> int:
        """The storage's own name for a trial."""
        if number not in self._trial_ids:
            found = self.storage.get_trial_id_from_study_id_trial_number(self.id, number)
            self._trial_ids[number] = found
        return self._trial_ids[number]

    def take_next(self, points: Sequence[Mapping[str, Any]]) -> FrozenTrial | None:
        """The next waiting trial, now running; None if as many as there are points are done or
        under way.

        Args:
            points: parameters that are decided already, one mapping for each trial; an empty one
                leaves all to the sampler.
        """
        # Made when they are needed: a grid may have a hundred thousand points.
        if not self.trials(TrialState.WAITING) and len(self.trials()) < len(points):
            self._enqueue(points)
        for waiting in self.trials(TrialState.WAITING):
            begun = len(self.trials()) - len(self.trials(TrialState.WAITING))
            # A resume may ask for fewer trials than were made ahead.
            if begun >= len(points):
                return None
            if self._take(waiting.number):
                return self.trial(waiting.number)
        return None

    def _take(self, number: int) -> bool:
        """Makes a waiting trial a running one of this process; False if another one was quicker."""
        trial_id = self.trial_id(number)
        try:
            # False where another process trains it, an error where one has ended it already.
            if not self.storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                return False
        except optuna.exceptions.UpdateFinishedTrialError:
            return False
        # The heartbeat first: who has an owner has had one.
        self.record_heartbeats([number])
        owner = f"{os.uname().nodename}/{os.getpid()}"
        self.storage.set_trial_system_attr(trial_id, _OWNER, owner)
        return True

    def _enqueue(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Makes waiting trials for the next points that have none yet, a few at a time."""
        with self._alone():
            have = len(self.trials())
            study = self.optuna_study()
            for point in points[have : have + _AT_A_TIME]:
                study.enqueue_trial(dict(point))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other processes from doing the same at the same time."""
        if self.database is None:
            yield
            return
        from sqlalchemy import text

        # PostgreSQL's advisory locks are named by a signed 64-bit number.
        key = int.from_bytes(self.name.encode()[-7:], "big")
        with self.database.engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})

    def report(self, number: int, step: int, value: float) -> None:
        """Writes a trial's value after an epoch, which the pruner reads."""
        self.storage.set_trial_intermediate_value(self.trial_id(number), step, value)

    def set_attributes(self, number: int, attributes: Mapping[str, Any]) -> None:
        """Writes a trial's user attributes."""
        for key, value in attributes.items():
            self.storage.set_trial_user_attr(self.trial_id(number), key, value)

    def set_system_attribute(self, number: int, key: str, value: Any) -> None:
        """Writes what a sampler has to know of a trial, as JSON."""
        self.storage.set_trial_system_attr(self.trial_id(number), key, value)

    def release(self, number: int) -> None:
        """Back to waiting: it was not trained to its end."""
        # Another process may have ended it in the meantime.
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            self.storage.set_trial_state_values(self.trial_id(number), TrialState.WAITING)

    @property
    def heartbeat_s(self) -> float | None:
        """How often running trials must be said to be alive; None: nobody watches."""
        return None if self.database is None else self.database.get_heartbeat_interval()

    def record_heartbeats(self, numbers: Sequence[int]) -> None:
        """Says that these trials are alive."""
        if self.database is not None:
            for number in numbers:
                self.database.record_heartbeat(self.trial_id(number))

    def reclaim_lost(self) -> list[int]:
        """Sets back the trials of processes that have died; their numbers.

        In a journal, whose folder this process holds, every running trial that it has not begun
        itself is one; in a database those whose heart has stopped.
        """
        running = self.trials(TrialState.RUNNING)
        if self.database is not None:
            # Private, but Optuna's public fail_stale_trials would end the trials as failed, and
            # at best repeat them under new numbers.
            stale = self.database._get_stale_trial_ids(self.id)
            limit = datetime.now() - timedelta(seconds=self.database.grace_period or 0)
            running = [
                trial
                for trial in running
                if self.trial_id(trial.number) in stale or _never_begun(trial, limit)
            ]
        for trial in running:
            self.release(trial.number)
        return [trial.number for trial in running]


def _never_begun(trial: FrozenTrial, limit: datetime) -> bool:
    """Its process died between taking it and its first heartbeat, so that none can be missed."""
    if _OWNER in trial.system_attrs or trial.datetime_start is None:
        return False
    return trial.datetime_start < limit
