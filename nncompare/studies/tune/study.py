"""``tune``: searches, confirms, writes the result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage

from nncompare.config.load import dump, load, to_mapping
from nncompare.config.overrides import Override, OverrideError
from nncompare.data import signature
from nncompare.errors import ConfigError, RuntimeFailure, StoreError, UsageError
from nncompare.launch.machine import describe_environment
from nncompare.launch.scratch import scratch_folder
from nncompare.records.atomic import write_text
from nncompare.records.finished import Finished
from nncompare.records.folder import create
from nncompare.records.reading import read_as
from nncompare.records.record import Head, head
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import CATALOG, file_name
from nncompare.studies.tune import document, samplers
from nncompare.studies.tune import folder as tune_folder
from nncompare.studies.tune.confirmation import Confirmation, transfer
from nncompare.studies.tune.data_store import DataStore
from nncompare.studies.tune.options import (
    RESUMABLE,
    SearchOptions,
    check_options,
    is_resumable,
    most_jobs,
    study_name,
)
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.proposer import NEEDS_A_FRAMEWORK, Proposer
from nncompare.studies.tune.record import Outcome, TuneGoal, TuneRecord, TuneSearch
from nncompare.studies.tune.resumption import check_database, check_journal
from nncompare.studies.tune.search import Propose, Search
from nncompare.studies.tune.storage import (
    JOURNAL,
    explain_storage_errors,
    open_database,
    open_journal,
    redact_password,
)
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.studies.tune.trial_attributes import ranked_trials
from nncompare.studies.tune.watcher import Watcher
from nncompare.terminal.signals import Held, held


def tune(
    experiment: Experiment,
    options: SearchOptions | None = None,
    *,
    output: Path | None = Path("results"),
    watcher: Watcher | None = None,
) -> Finished[TuneRecord]:
    """Searches as the experiment's ``tune:`` says.

    Args:
        experiment: as ``config.load`` gives it.
        options: how the search is run.
        output: where the result folder is made; None: nothing is stored.
        watcher: told of everything as it happens.

    Raises:
        UsageError: no ``tune:``, or options that do not go together; nothing has been written.
        ConfigError: the database cannot be reached.
        DataError: the data cannot be had.
        StoreError: the result cannot be written.
    """
    options = options or SearchOptions()
    check_options(experiment, options)
    # Before anything is written: it may not answer.
    database = open_database(options.storage) if options.storage else None
    created = datetime.now().astimezone()
    with held() as signals, scratch_folder() as work:
        data = DataStore(work / "data")
        # Nothing is written where the data cannot be had.
        with signals.obeyed():
            environment = describe_environment(data.prepared(experiment))
        # A search that is not stored has a folder all the same: the journal is in it.
        with create(output or work, experiment.name, created=created) as new:
            plan = SearchPlan(
                experiment=experiment, options=options, folder=new.path, work=work, data=data
            )
            id = new.id if output else None
            record = _empty_record(plan, head(experiment.name, created=created, id=id), environment)
            new.write_experiment(dump(experiment))
            new.write_result(record)
            # In its place from the start, so that it can be resumed after anything.
            new.publish()
        with tune_folder.lock_folder(new.path):
            record, problem = _SearchRun(plan, database, watcher, signals).run(record)
    return Finished(record=record, folder=new.path if output else None, problem=problem)


def resume(
    folder: Path,
    changes: Sequence[str] = (),
    *,
    trials: str | None = None,
    storage: str | None = None,
    watcher: Watcher | None = None,
) -> Finished[TuneRecord]:
    """Goes on with a stored search to the total that it asks for now.

    Args:
        folder: the result folder.
        changes: overrides of ``RESUMABLE`` keys.
        trials: the total, as ``--trials`` gives it.
        storage: URL of the database, if the search is kept in one.

    Raises:
        UsageError: another key is changed, or the database is not named.
        StoreError: the folder holds no search, another one than it was begun with or a damaged
            one, or another process works on it. Nothing has been changed.
        ConfigError: the changed file is wrong, or the database cannot be reached.
    """
    overrides = _resumable_changes(changes, trials)
    before = read_as(folder, TuneRecord)
    # It may be the result file that is named.
    folder = folder if folder.is_dir() else folder.parent
    _check_storage(folder, before, storage)
    experiment = load(folder / tune_folder.EXPERIMENT, overrides, signature_of=signature)
    # It may have been begun on a larger machine.
    jobs = min(before.jobs, most_jobs())
    options = SearchOptions(jobs=jobs, per_backend=before.per_backend, storage=storage)
    check_options(experiment, options)
    database = open_database(storage) if storage else None
    watcher = watcher or Watcher()
    with held() as signals, tune_folder.lock_folder(folder), scratch_folder() as work:
        data = DataStore(work / "data")
        plan = SearchPlan(
            experiment=experiment, options=options, folder=folder, work=work, data=data
        )
        # A large journal takes a while.
        with signals.obeyed(), explain_storage_errors(folder, storage):
            if database is None:
                notice = check_journal(plan, before)
            else:
                check_database(plan, before, database)
                notice = None
        if notice is not None:
            watcher.say(notice)
        write_text(folder / tune_folder.EXPERIMENT, dump(experiment))
        record = before.model_copy(
            update={"experiment": to_mapping(experiment), "goals": _goals(plan), "jobs": jobs}
        )
        record, problem = _SearchRun(plan, database, watcher, signals).run(record)
    return Finished(record=record, folder=folder, problem=problem)


def _resumable_changes(changes: Sequence[str], trials: str | None) -> list[Override]:
    """What a search goes on with.

    Raises:
        ConfigError: one cannot be read.
        UsageError: one would make a search go on as another one.
    """
    try:
        found = [Override.parse(item) for item in changes]
        if trials is not None:
            found.append(Override.from_text("tune.trials", trials, f"--trials {trials}"))
    except OverrideError as error:
        raise ConfigError([error.problem]) from None
    for override in found:
        path = ".".join(override.path)
        if not is_resumable(path):
            raise UsageError(
                f"{path} cannot be changed while a search goes on, since its trials could not be"
                f" compared; these can: {', '.join(RESUMABLE)}"
            )
    return found


def _check_storage(folder: Path, before: TuneRecord, storage: str | None) -> None:
    """A search goes on where its trials are.

    Raises:
        UsageError: the database is not named, or named where there is none.
    """
    in_database = before.storage != JOURNAL
    if in_database and storage is None:
        # The record has the URL without its password, so it cannot be opened from there.
        raise UsageError(
            f"{folder}: this search is kept in {before.storage}; name it again with --storage URL"
        )
    # Half of its trials would be there, and half here.
    if not in_database and storage is not None:
        raise UsageError(f"{folder}: this search is kept in its own {JOURNAL}; leave --storage out")


def _empty_record(plan: SearchPlan, head: Head, environment: dict[str, Any]) -> TuneRecord:
    """The record before the first trial."""
    url = plan.options.storage
    return TuneRecord(
        **head,
        experiment=to_mapping(plan.experiment),
        environment=environment,
        per_backend=plan.options.per_backend,
        jobs=plan.options.jobs,
        threads=plan.threads,
        storage=redact_password(url) if url else JOURNAL,
        goals=_goals(plan),
    )


def _goals(plan: SearchPlan) -> tuple[TuneGoal, ...]:
    return tuple(TuneGoal(name=goal.name, goal=goal.direction) for goal in plan.tune.metric)


class _SearchRun:
    """One call of ``tune`` or ``resume``.

    Args:
        plan: what is searched; its folder is held by this process.
        database: where the trials are kept; None: in the folder's journal.
        watcher: told of everything as it happens.
        signals: that wait while something is stored.
    """

    def __init__(
        self,
        plan: SearchPlan,
        database: BaseStorage | None,
        watcher: Watcher | None,
        signals: Held,
    ):
        self.plan = plan
        self.database = database
        self.watcher = watcher or Watcher()
        self.signals = signals
        self.confirmation = Confirmation(plan, self.watcher)
        self.studies: dict[str, StoredStudy] = {}
        """Runtime -> its study, for each one that was searched."""
        self.stopped: dict[str, str | None] = {}
        """Runtime -> why its search ended early, or None."""

    def run(self, record: TuneRecord) -> tuple[TuneRecord, StoreError | None]:
        """Searches, confirms, writes; after Ctrl-C or where a disk is full it writes what there is.

        Returns:
            The record, and what could not be written.

        Raises:
            StoreError: the trials cannot even be read.
        """
        begun = time.monotonic()
        plan = self.plan
        url = plan.options.storage
        problem: StoreError | None = None
        outcome: Outcome = "complete"
        try:
            with explain_storage_errors(plan.folder, url), self.signals.obeyed():
                outcome = self._search_and_confirm(begun)
        except KeyboardInterrupt:
            outcome = "interrupted"
        except StoreError as error:
            outcome = "stopped"
            problem = error
        # A resumed search has taken its time before, too.
        seconds = (record.seconds or 0.0) + time.monotonic() - begun
        try:
            with explain_storage_errors(plan.folder, url):
                results = self._results()
        except StoreError as error:
            # The first one is the cause of all.
            raise problem or error from None
        record = record.model_copy(update={**results, "outcome": outcome, "seconds": seconds})
        try:
            self._write(record)
        except StoreError as error:
            # What cannot be stored is shown all the same; the trials are in the storage.
            problem = problem or StoreError(
                f"{error}; finished trials are kept: then nncompare tune --resume {plan.folder}"
            )
        return record, problem

    def _search_and_confirm(self, begun: float) -> Outcome:
        """Searches on each runtime, then repeats the best trials on all."""
        plan = self.plan
        end = None if plan.tune.timeout is None else begun + plan.tune.timeout
        storage = self.database or open_journal(plan.folder / JOURNAL)
        for runtime in plan.runtimes:
            try:
                self.stopped[runtime] = self._search(runtime, storage, end)
            except (OSError, StorageInternalError, StoreError):
                # What is written then says why there is no more of it.
                self.stopped[runtime] = "a file could not be written"
                raise
        # Where each backend was searched, nothing has to transfer.
        if not plan.options.per_backend:
            self._confirm(plan.runtimes[0])
        return "stopped" if any(self.stopped.values()) else "complete"

    def _search(self, runtime: str, storage: BaseStorage, end: float | None) -> str | None:
        """One runtime's search; why it ended early."""
        missing = CATALOG[runtime].missing()
        # No study is made for what cannot train.
        if missing is not None:
            return missing
        plan = self.plan
        study = self._open_study(runtime, storage)
        self.studies[runtime] = study
        propose: Propose = samplers.propose
        with ExitStack() as stack:
            try:
                if plan.tune.sampler in NEEDS_A_FRAMEWORK:
                    propose = stack.enter_context(closing(Proposer(plan))).propose
                done = [trial for trial in study.trials() if trial.state.is_finished()]
                goal = plan.tune.metric[0]
                self.watcher.search_started(runtime, goal, len(plan.points), len(done))
                return Search(plan, runtime, study, self.watcher, propose, end=end).run()
            except RuntimeFailure as failure:
                # The other runtimes are searched all the same.
                return str(failure)

    def _open_study(self, runtime: str, storage: BaseStorage) -> StoredStudy:
        plan = self.plan
        attributes = {
            "experiment": dump(plan.experiment),
            "runtime": runtime,
            "metrics": [goal.name for goal in plan.tune.metric],
            "per_backend": plan.options.per_backend,
        }
        name = study_name(plan.experiment, runtime, shared=self.database is not None)
        return StoredStudy.open_or_create(storage, name, plan.tune.directions, attributes)

    def _confirm(self, runtime: str) -> None:
        """Repeats the best trials of one runtime's search on every runtime."""
        if len(self.plan.experiment.backends) == 1 or runtime not in self.studies:
            return
        ranked = ranked_trials(self.studies[runtime], self.plan.tune)
        self.confirmation.run(ranked)

    def _results(self) -> dict[str, Any]:
        """The record's fields with everything that there is."""
        tune = self.plan.tune
        requested = len(self.plan.points)
        searches = []
        trials = []
        for runtime in self.plan.runtimes:
            stopped = self.stopped.get(runtime)
            study = self.studies.get(runtime)
            if study is None:
                # It is not installed, or its turn had not come.
                searches.append(
                    TuneSearch(runtime=runtime, study="", requested=requested, stopped=stopped)
                )
                continue
            searches.append(document.search(study, runtime, tune, requested, stopped))
            trials += document.trials(study, runtime, tune)
        confirmed = self.confirmation.rows
        return {
            "best": document.best_of(searches, tune),
            "searches": tuple(searches),
            "trials": tuple(trials),
            "confirmation": tuple(confirmed),
            "transfer": tuple(transfer(confirmed, tune)),
            "threads": self.plan.threads,
        }

    def _write(self, record: TuneRecord) -> None:
        """The record, its trials as a table, and the best experiments as files that run."""
        tune_folder.write(self.plan.folder, record)
        best = {tune_folder.BEST: record.best}
        # Each backend has found an optimum of its own.
        if self.plan.options.per_backend:
            for search in record.searches:
                best[f"best-{file_name(search.runtime)}.yaml"] = search.best
        for name, item in best.items():
            # A search in which no trial ended well has none.
            if item is not None:
                text = document.best_yaml(self.plan, item, self.studies[item.runtime])
                write_text(self.plan.folder / name, text)
