"""``tune``: searches, confirms, writes the result."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from optuna.storages import BaseStorage

from nncompare.config.load import dump, load, to_mapping
from nncompare.config.overrides import Override
from nncompare.data import signature
from nncompare.errors import RuntimeFailure, UsageError
from nncompare.launch.machine import describe_environment
from nncompare.records.atomic import write_text
from nncompare.records.finished import Finished
from nncompare.records.record import head
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import CATALOG, file_name
from nncompare.spec.tune import Tune
from nncompare.studies.tune import document
from nncompare.studies.tune import folder as tune_folder
from nncompare.studies.tune.confirmation import ConfirmationWorkers, confirm_best, transfer
from nncompare.studies.tune.data_store import DataStore
from nncompare.studies.tune.options import (
    RESUMABLE,
    SearchOptions,
    check_options,
    is_resumable,
    study_name,
    threads_of,
)
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.proposer import NEEDS_A_FRAMEWORK, Proposer
from nncompare.studies.tune.record import Outcome, TuneConfirmed, TuneRecord
from nncompare.studies.tune.search import Search
from nncompare.studies.tune.storage import (
    JOURNAL,
    explain_storage_errors,
    open_database,
    open_journal,
    redact_password,
)
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.studies.tune.trial import trial_limit_s
from nncompare.studies.tune.trial_attributes import ranked_trials
from nncompare.studies.tune.watcher import NullWatcher, Watcher


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
    database = open_database(options.storage) if options.storage else None
    created = datetime.now().astimezone()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nncompare-")))
        store = DataStore(work / "data")
        record = _empty_record(experiment, options, store, created)
        # A search that is not stored has a folder all the same: the journal is in it.
        folder = work / "result"
        if output is not None:
            text = dump(experiment)
            folder, record = tune_folder.begin(output, experiment.name, created, text, record)
        else:
            folder.mkdir()
        stack.enter_context(tune_folder.lock_folder(folder))
        stack.enter_context(explain_storage_errors(folder, options.storage))
        run = _SearchRun(
            experiment=experiment,
            options=options,
            storage=database or open_journal(folder / JOURNAL),
            folder=folder,
            work=work,
            store=store,
            watcher=watcher or NullWatcher(),
            stored=output is not None,
        )
        record = run.run(record)
        return Finished(record=record, folder=folder if output is not None else None)


def resume(
    folder: Path,
    changes: Sequence[str | Override] = (),
    *,
    storage: str | None = None,
    watcher: Watcher | None = None,
) -> Finished[TuneRecord]:
    """Goes on with a stored search to the total that it asks for now.

    Args:
        folder: the result folder.
        changes: overrides of ``RESUMABLE`` keys.
        storage: URL of the database, if the search is kept in one.

    Raises:
        UsageError: another key is changed, or the database is not named.
        StoreError: the folder holds no search, or another process works on it.
        ConfigError: the changed file is wrong, or the database cannot be reached.
    """
    before = tune_folder.read(folder)
    folder = folder if folder.is_dir() else folder.parent
    _check_storage(folder, before, storage)
    overrides = [Override.parse(item) if isinstance(item, str) else item for item in changes]
    for override in overrides:
        path = ".".join(override.path)
        if not is_resumable(path):
            raise UsageError(
                f"{path} cannot be changed while a search goes on, since its trials could not be"
                f" compared; these can: {', '.join(RESUMABLE)}"
            )
    experiment = load(folder / tune_folder.EXPERIMENT, overrides, signature_of=signature)
    options = SearchOptions(jobs=before.jobs, per_backend=before.per_backend, storage=storage)
    check_options(experiment, options)
    database = open_database(storage) if storage else None
    with ExitStack() as stack:
        stack.enter_context(tune_folder.lock_folder(folder))
        stack.enter_context(explain_storage_errors(folder, storage))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nncompare-")))
        write_text(folder / tune_folder.EXPERIMENT, dump(experiment))
        run = _SearchRun(
            experiment=experiment,
            options=options,
            storage=database or open_journal(folder / JOURNAL),
            folder=folder,
            work=work,
            store=DataStore(work / "data"),
            watcher=watcher or NullWatcher(),
            stored=True,
        )
        record = before.model_copy(update={"experiment": to_mapping(experiment)})
        return Finished(record=run.run(record), folder=folder)


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
    if not in_database and storage is not None:
        raise UsageError(f"{folder}: this search is kept in its own {JOURNAL}; leave --storage out")


def _empty_record(
    experiment: Experiment, options: SearchOptions, store: DataStore, created: datetime
) -> TuneRecord:
    """The record before the first trial."""
    assert experiment.tune is not None, "checked"
    return TuneRecord(
        **head(experiment.name, created=created),
        experiment=to_mapping(experiment),
        environment=describe_environment(store.prepared(experiment)),
        per_backend=options.per_backend,
        jobs=options.jobs,
        threads=threads_of(experiment, options.jobs),
        storage=redact_password(options.storage) if options.storage else JOURNAL,
        goals=document.goals(experiment.tune),
    )


@dataclass(kw_only=True)
class _SearchRun:
    """One call of ``tune`` or ``resume``.

    Args:
        storage: where the trials are kept.
        folder: with the journal and the logs.
        work: a folder of this process alone.
        store: the arrays of all trials.
        stored: the folder stays, and the result is written into it.
        studies: runtime -> its study, for each runtime that was searched.
        stopped: runtime -> why its search ended early, or None.
        total: trials of one search.
    """

    experiment: Experiment
    options: SearchOptions
    storage: BaseStorage
    folder: Path
    work: Path
    store: DataStore
    watcher: Watcher
    stored: bool
    studies: dict[str, StoredStudy] = field(default_factory=dict)
    stopped: dict[str, str | None] = field(default_factory=dict)
    total: int = 0

    @property
    def tune(self) -> Tune:
        assert self.experiment.tune is not None, "checked"
        return self.experiment.tune

    @property
    def threads(self) -> int:
        """Of each worker."""
        return threads_of(self.experiment, self.options.jobs)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def searched_runtimes(self) -> tuple[str, ...]:
        """All runtimes, or the first one, whose best trials are confirmed on all."""
        runtimes: tuple[str, ...] = self.experiment.backends
        return runtimes if self.options.per_backend else runtimes[:1]

    def run(self, record: TuneRecord) -> TuneRecord:
        """Searches, confirms, writes; after Ctrl-C it writes what there is."""
        begun = time.monotonic()
        end = None if self.tune.timeout is None else begun + self.tune.timeout
        confirmation: list[TuneConfirmed] = []
        interrupted = False
        try:
            for runtime in self.searched_runtimes:
                self.stopped[runtime] = self._search(runtime, end)
            if len(self.experiment.backends) > 1 and not self.options.per_backend:
                self._confirm(confirmation)
        except KeyboardInterrupt:
            interrupted = True
        # A resumed search has taken its time before, too.
        seconds = (record.seconds or 0.0) + time.monotonic() - begun
        record = self._filled(record, confirmation, interrupted=interrupted, seconds=seconds)
        if self.stored:
            self._write(record)
        return record

    def _search(self, runtime: str, end: float | None) -> str | None:
        """One runtime's search; why it ended early."""
        missing = CATALOG[runtime].missing()
        if missing is not None:
            return missing
        study = self._open_study(runtime)
        self.studies[runtime] = study
        plan = SearchPlan(
            experiment=self.experiment,
            runtime=runtime,
            threads=self.threads,
            jobs=self.options.jobs,
            work=self.work,
            logs=self.logs,
            data=self.store,
        )
        self.total = len(plan.points())
        with ExitStack() as stack:
            try:
                if self.tune.sampler in NEEDS_A_FRAMEWORK:
                    log = self.logs / "proposer.log"
                    url = self.options.storage
                    proposer = Proposer(self.tune, folder=self.folder, url=url, log=log)
                    stack.callback(proposer.close)
                    plan.propose = proposer.propose
                done = [trial for trial in study.trials() if trial.state.is_finished()]
                self.watcher.search_started(runtime, self.total, len(done))
                search = Search(plan, study, self.watcher, end=end)
                search.run()
            except RuntimeFailure as failure:
                # The other runtimes are searched all the same.
                return str(failure)
        return search.stopped

    def _open_study(self, runtime: str) -> StoredStudy:
        shared = self.options.storage is not None
        attributes = {
            "experiment": dump(self.experiment),
            "runtime": runtime,
            "metrics": [goal.name for goal in self.tune.metric],
        }
        name = study_name(self.experiment, runtime, shared=shared)
        return StoredStudy.open_or_create(
            self.storage, name, self.tune.directions, attributes, shared=shared
        )

    def _confirm(self, found: list[TuneConfirmed]) -> None:
        """Repeats the best trials on every runtime; the rows are added to ``found`` one by one, so
        that an interruption keeps those that there are.
        """
        study = self.studies.get(self.searched_runtimes[0])
        best = ranked_trials(study, self.tune.directions) if study is not None else []
        if not best:
            return
        workers = ConfirmationWorkers(
            threads=self.threads,
            timeout_s=trial_limit_s(self.experiment),
            work=self.work,
            logs=self.logs,
        )

        def told(row: TuneConfirmed, place: int, total: int) -> None:
            found.append(row)
            self.watcher.confirmed(row, place, total)

        confirm_best(self.experiment, best, workers, self.store, told)

    def _outcome(self, *, interrupted: bool) -> Outcome:
        if interrupted:
            return "interrupted"
        return "stopped" if any(self.stopped.values()) else "complete"

    def _filled(
        self,
        record: TuneRecord,
        confirmation: list[TuneConfirmed],
        *,
        interrupted: bool,
        seconds: float,
    ) -> TuneRecord:
        """The record with everything that there is."""
        searches = []
        trials = []
        for runtime, study in self.studies.items():
            stopped = self.stopped.get(runtime)
            searches.append(document.search(study, runtime, self.tune, self.total, stopped))
            trials += document.trials(study, runtime, self.tune)
        # A runtime that is not installed, or whose turn had not come.
        for runtime in self.searched_runtimes:
            if runtime not in self.studies:
                stopped = self.stopped.get(runtime)
                searches.append(document.search_not_begun(runtime, self.total, stopped))
        update = {
            "outcome": self._outcome(interrupted=interrupted),
            "best": document.best_of(searches, self.tune),
            "searches": tuple(searches),
            "trials": tuple(trials),
            "confirmation": tuple(confirmation),
            "transfer": tuple(transfer(confirmation, self.tune)),
            "seconds": seconds,
            "threads": self.threads,
        }
        return record.model_copy(update=update)

    def _write(self, record: TuneRecord) -> None:
        """The record, its trials as a table, and the best experiments as files that run."""
        tune_folder.write(self.folder, record)
        if record.best is not None:
            study = self.studies[record.best.runtime]
            text = document.best_yaml(self.experiment, record.best, study, self.threads)
            write_text(self.folder / tune_folder.BEST, text)
        if not self.options.per_backend:
            return
        for search in record.searches:
            if search.best is not None:
                study = self.studies[search.runtime]
                text = document.best_yaml(self.experiment, search.best, study, self.threads)
                write_text(self.folder / f"best-{file_name(search.runtime)}.yaml", text)
