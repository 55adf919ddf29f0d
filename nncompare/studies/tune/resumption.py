"""Whether a stored search may go on: it is the same one, and all of it is there.

What decides the trials stands in three places: in the folder's ``experiment.yaml``, in its
``result.json``, and with the trials in the storage. They must agree but for what may change on a
resume. Every finished trial that the record knows must be in the storage as it was. Nothing is
written, so that whoever is refused can mend it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import TrialState
from pydantic import ValidationError

from nncompare.config.load import load_mapping, load_text, to_mapping
from nncompare.data import signature
from nncompare.errors import ConfigError, StoreError
from nncompare.records.folder import RESULT_FILE
from nncompare.spec.experiment import Experiment
from nncompare.studies.tune import document
from nncompare.studies.tune.folder import EXPERIMENT
from nncompare.studies.tune.journal_check import (
    PUT_BACK,
    CheckedJournal,
    is_pickle,
    pickle_refusal,
)
from nncompare.studies.tune.options import DECISIVE, is_resumable, study_name
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.record import TuneRecord, TuneTrial
from nncompare.studies.tune.samplers import distributions
from nncompare.studies.tune.storage import JOURNAL, remembered_size
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.wire.messages import first_problem

_MOST = 5
"""Differences that an error lists."""
_FINISHED = ("complete", "pruned", "failed")


def check_journal(plan: SearchPlan, before: TuneRecord) -> str | None:
    """Holds a search that is kept in its folder's journal to what it was.

    Args:
        plan: what would be searched now.
        before: the record of the search so far.

    Returns:
        What a user should know although the search can go on, or None.

    Raises:
        StoreError: another experiment, damage, or trials that are gone; the message names the file,
            the line or the keys.
    """
    journal = CheckedJournal(plan.folder / JOURNAL)
    storage = journal.storage()
    # Where no runtime is installed no study is begun.
    begun = not before.searches or any(search.study for search in before.searches)
    if journal.size == 0 and begun:
        raise StoreError(f"{journal.path}: empty; {PUT_BACK}")
    _Resumption(plan, before, storage, where=str(journal.path), shared=False).check()
    # Last, since what is missing tells more than how much of it.
    known = remembered_size(plan.folder)
    if known is not None and journal.size < known:
        raise StoreError(
            f"{journal.path}: cut off: it has {journal.size:,} bytes, and had {known:,}; {PUT_BACK}"
        )
    if journal.torn_line is None:
        return None
    return f"{journal.path}:{journal.torn_line}: a crash has cut this line in two; it is dropped"


def check_database(plan: SearchPlan, before: TuneRecord, storage: BaseStorage) -> None:
    """Holds a search that is kept in a database to what it was; else as ``check_journal``."""
    _Resumption(plan, before, storage, where=before.storage, shared=True).check()


class _Resumption:
    """One search that is to go on.

    Args:
        plan: what would be searched now.
        before: the record of the search so far.
        storage: with the trials.
        where: the storage's name, for messages.
        shared: other machines may search there, too.
    """

    def __init__(
        self,
        plan: SearchPlan,
        before: TuneRecord,
        storage: BaseStorage,
        *,
        where: str,
        shared: bool,
    ):
        self.plan = plan
        self.before = before
        self.storage = storage
        self.where = where
        self.shared = shared
        self.result = plan.folder / RESULT_FILE

    def check(self) -> None:
        """Raises a ``StoreError`` where something is not as it was."""
        self._check_experiment(self._experiment_of_the_record(), RESULT_FILE)
        stored = {study.study_name for study in self.storage.get_all_studies()}
        runtimes = self.plan.runtimes if self.shared else self.plan.experiment.backends
        for runtime in runtimes:
            name = study_name(self.plan.experiment, runtime, shared=self.shared)
            if name in stored:
                self._check_study(StoredStudy(self.storage, name), runtime)
            elif self._was_searched(runtime):
                raise StoreError(f"{self.where}: the study {name} is missing; {PUT_BACK}")

    def _experiment_of_the_record(self) -> Experiment:
        try:
            return load_mapping(self.before.experiment, signature_of=signature)
        except ConfigError as error:
            raise StoreError(f"{self.result}: damaged: {error.problems[0]}") from None

    def _check_experiment(
        self, other: Experiment, place: str, *, sections: tuple[str, ...] | None = None
    ) -> None:
        """The folder's experiment must be the one that stands elsewhere.

        Args:
            other: what stands there.
            place: where.
            sections: that must agree; None: all.
        """
        old, new = to_mapping(other), to_mapping(self.plan.experiment)
        if sections is not None:
            old = {name: old.get(name) for name in sections}
            new = {name: new.get(name) for name in sections}
        changes = list(_changes(old, new))
        if changes:
            more = f" and {len(changes) - _MOST} more" if len(changes) > _MOST else ""
            raise StoreError(
                f"{self.plan.folder / EXPERIMENT}: not the experiment that this search was begun"
                f" with, which stands in {place}: {', '.join(changes[:_MOST])}{more}; its trials"
                " could not be compared. Nothing was changed; put the old values back, or begin a"
                " new search with it"
            )

    def _was_searched(self, runtime: str) -> bool:
        searched = any(item.runtime == runtime and item.study for item in self.before.searches)
        return searched or bool(self._finished_before(runtime))

    def _finished_before(self, runtime: str) -> list[TuneTrial]:
        """What the record knows of one runtime's search."""
        found = []
        for trial in self.before.trials:
            if trial.runtime == runtime and trial.state in _FINISHED:
                found.append(trial)
        return found

    def _check_study(self, study: StoredStudy, runtime: str) -> None:
        """One runtime's search is what the folder says, and whole."""
        attributes = study.user_attributes
        sections = DECISIVE if self.shared else None
        self._check_experiment(self._experiment_of_the_study(study), self.where, sections=sections)
        each = attributes.get("per_backend", self.before.per_backend)
        # Another runtime's search would begin, or one would be left out. In a database another
        # machine may have asked for that.
        if not self.shared and (
            each != self.before.per_backend or runtime not in self.plan.runtimes
        ):
            raise StoreError(
                f"{self.result}: per_backend was changed; {self.where} has it as"
                f" {not self.before.per_backend}"
            )
        for item in study.trials():
            for name in filter(is_pickle, item.system_attrs):
                raise StoreError(f"{self.where}: trial {item.number}: {pickle_refusal(name)}")
        found = self._trials(study, runtime)
        for old in self._finished_before(runtime):
            self._check_trial(old, found.get(old.number))

    def _experiment_of_the_study(self, study: StoredStudy) -> Experiment:
        text = study.user_attributes.get("experiment")
        if not isinstance(text, str):
            raise StoreError(
                f"{self.where}: damaged: {study.name} does not say what is searched; {PUT_BACK}"
            )
        try:
            return load_text(text, f"{self.where}: {study.name}", signature_of=signature)
        except ConfigError as error:
            raise StoreError(f"{error.problems[0]}; {PUT_BACK}") from None

    def _trials(self, study: StoredStudy, runtime: str) -> dict[int, TuneTrial]:
        """The trials that were begun by their numbers, each of them whole."""
        tune = self.plan.tune
        found = {}
        for item in study.trials():
            if item.state == TrialState.WAITING:
                continue
            wrong = None
            try:
                found[item.number] = document.trial(item, runtime, tune)
            except ValidationError as error:
                wrong = first_problem(error)
            except (KeyError, TypeError, ValueError) as error:
                wrong = str(error)
            if wrong is None and item.state == TrialState.COMPLETE:
                missing = sorted(set(distributions(tune)) - set(item.params))
                values = found[item.number].values or ()
                if missing:
                    wrong = f"it is complete and has no {', '.join(missing)}"
                elif len(values) != len(tune.metric):
                    wrong = f"it is complete and has {len(values)} values"
            if wrong is not None:
                raise StoreError(
                    f"{self.where}: trial {item.number} of {study.name} is damaged: {wrong};"
                    f" {PUT_BACK}"
                )
        return found

    def _check_trial(self, old: TuneTrial, now: TuneTrial | None) -> None:
        """A finished trial does not change.

        Args:
            old: as the record has it.
            now: as the storage has it; None: it is not there.
        """
        trial = f"trial {old.number} on {old.runtime}"
        if now is None:
            raise StoreError(
                f"{self.where}: {trial} is missing, which {self.result} has as {old.state};"
                f" {PUT_BACK}"
            )
        theirs, ours = old.model_dump(mode="json"), now.model_dump(mode="json")
        for field in ("state", "values", "params"):
            if theirs[field] != ours[field]:
                raise StoreError(
                    f"{self.where}: {trial}: {field} {ours[field]!r}, but {theirs[field]!r} in"
                    f" {self.result}; one of the two was changed; {PUT_BACK}"
                )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """``train.epochs was 15 and is 3`` for each key that may not change."""
    for key in dict.fromkeys([*before, *now]):
        name = f"{path}.{key}" if path else key
        old, new = before.get(key), now.get(key)
        if old == new or is_resumable(name):
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changes(old, new, name)
        elif old is None:
            yield f"{name} is new"
        elif new is None:
            yield f"{name} is gone, it was {old!r}"
        else:
            yield f"{name} was {old!r} and is {new!r}"
