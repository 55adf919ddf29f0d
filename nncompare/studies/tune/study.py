"""``tune``: searches, confirms, writes the result."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

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
from nncompare.spec.runtimes import CATALOG
from nncompare.studies.tune import document
from nncompare.studies.tune import folder as tune_folder
from nncompare.studies.tune.confirmation import ConfirmationWorkers, confirm, transfer
from nncompare.studies.tune.options import RESUMABLE, SearchOptions, check, study_name, threads_of
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.proposer import NEEDS_A_FRAMEWORK, Proposer
from nncompare.studies.tune.record import TuneConfirmed, TuneRecord, TuneSearch
from nncompare.studies.tune.search import Search
from nncompare.studies.tune.search import Watcher as SearchWatcher
from nncompare.studies.tune.storage import (
    JOURNAL,
    Study,
    database,
    explained,
    journal,
    lock_folder,
    redact_password,
)
from nncompare.studies.tune.trial import DataStore, FinishedTrial
from nncompare.studies.tune.trial_attributes import ranked


class Watcher(SearchWatcher, Protocol):
    """The display."""

    def search_started(self, runtime: str, total: int, done: int) -> None: ...

    def confirmed(self, row: TuneConfirmed, place: int, total: int) -> None: ...


class NullWatcher:
    """A watcher that says nothing."""

    def search_started(self, runtime: str, total: int, done: int) -> None: ...

    def trial_started(self, runtime: str, number: int, params: Mapping[str, Any]) -> None: ...

    def trial_epoch(
        self, runtime: str, number: int, epoch: int, epochs: int, value: float | None
    ) -> None: ...

    def trial_done(self, runtime: str, done: FinishedTrial) -> None: ...

    def confirmed(self, row: TuneConfirmed, place: int, total: int) -> None: ...

    def say(self, text: str) -> None: ...


def tune(
    experiment: Experiment,
    asked: SearchOptions | None = None,
    *,
    output: Path | None = Path("results"),
    watcher: Watcher | None = None,
) -> Finished[TuneRecord]:
    """Searches as the experiment's ``tune:`` says.

    Args:
        experiment: from ``spec.load``.
        output: where the result folder is made; None: nothing is stored.
        watcher: told of everything as it happens.

    Raises:
        UsageError: no ``tune:``, or options that do not go together; nothing has been written.
        ConfigError: the database cannot be reached.
        DataError: the data cannot be had.
        StoreError: the result cannot be written.
    """
    asked = asked or SearchOptions()
    check(experiment, asked)
    storage = database(asked.storage) if asked.storage else None
    created = datetime.now().astimezone()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nncompare-")))
        store = DataStore(work / "data")
        result = _empty(experiment, asked, store, created)
        folder = work / "result"
        if output is not None:
            folder, result = tune_folder.begin(
                output, experiment.name, created, dump(experiment), result
            )
        else:
            folder.mkdir()
        stack.enter_context(lock_folder(folder))
        run = _Run(
            experiment,
            asked,
            storage,
            folder,
            work,
            store,
            watcher or NullWatcher(),
            stored=output is not None,
        )
        stack.enter_context(explained(folder, asked.storage))
        return Finished(record=run.run(result), folder=folder if output is not None else None)


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
    kept = before.storage != JOURNAL
    if kept and storage is None:
        raise UsageError(
            f"{folder}: this search is kept in {before.storage}; name it again with --storage URL"
        )
    if storage is not None and not kept:
        raise UsageError(f"{folder}: this search is kept in its own {JOURNAL}; leave --storage out")
    overrides = [Override.parse(item) if isinstance(item, str) else item for item in changes]
    for item in overrides:
        path = ".".join(item.path)
        if not any(path == name or path.startswith(f"{name}.") for name in RESUMABLE):
            raise UsageError(
                f"{path} cannot be changed while a search goes on, since its trials could not be"
                f" compared; these can: {', '.join(RESUMABLE)}"
            )
    experiment = load(folder / tune_folder.EXPERIMENT, overrides, signature_of=signature)
    asked = SearchOptions(jobs=before.jobs, per_backend=before.per_backend, storage=storage)
    check(experiment, asked)
    opened = database(storage) if storage else None
    with ExitStack() as stack:
        stack.enter_context(lock_folder(folder))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nncompare-")))
        write_text(folder / tune_folder.EXPERIMENT, dump(experiment))
        run = _Run(
            experiment,
            asked,
            opened,
            folder,
            work,
            DataStore(work / "data"),
            watcher or NullWatcher(),
            stored=True,
        )
        document_ = before.model_copy(update={"experiment": to_mapping(experiment)})
        stack.enter_context(explained(folder, storage))
        return Finished(record=run.run(document_), folder=folder)


def _empty(
    experiment: Experiment, asked: SearchOptions, store: DataStore, created: datetime
) -> TuneRecord:
    assert experiment.tune is not None, "checked"
    return TuneRecord(
        **head(experiment.name, created=created),
        experiment=to_mapping(experiment),
        environment=describe_environment(store.prepared(experiment)),
        per_backend=asked.per_backend,
        jobs=asked.jobs,
        threads=threads_of(experiment, asked.jobs),
        storage=redact_password(asked.storage) if asked.storage else JOURNAL,
        goals=document.goals(experiment.tune),
    )


class _Run:
    """One call of ``tune`` or ``resume``."""

    def __init__(
        self,
        experiment: Experiment,
        asked: SearchOptions,
        storage: BaseStorage | None,
        folder: Path,
        work: Path,
        store: DataStore,
        watcher: Watcher,
        *,
        stored: bool,
    ):
        assert experiment.tune is not None, "checked"
        self.experiment, self.asked, self.tune = experiment, asked, experiment.tune
        self.shared, self.stored = storage is not None, stored
        self.storage = storage or journal(folder / JOURNAL)
        self.folder, self.work, self.store, self.watcher = folder, work, store, watcher
        self.threads = threads_of(experiment, asked.jobs)
        self.logs = folder / "logs"
        self.runtimes = experiment.backends if asked.per_backend else experiment.backends[:1]
        self.studies: dict[str, Study] = {}
        self.stopped: dict[str, str | None] = {}
        self.total = 0

    def run(self, result: TuneRecord) -> TuneRecord:
        """Searches, confirms, writes; after Ctrl-C it writes what there is."""
        begun, interrupted = time.monotonic(), False
        end = None if self.tune.timeout is None else begun + self.tune.timeout
        confirmation: list[TuneConfirmed] = []
        try:
            for runtime in self.runtimes:
                self.stopped[runtime] = self._search(runtime, end)
            if len(self.experiment.backends) > 1 and not self.asked.per_backend:
                self._confirm(confirmation)
        except KeyboardInterrupt:
            interrupted = True
        seconds = (result.seconds or 0.0) + time.monotonic() - begun
        result = self._document(result, confirmation, interrupted=interrupted, seconds=seconds)
        if self.stored:
            self._write(result)
        return result

    def _search(self, runtime: str, end: float | None) -> str | None:
        """One runtime's search; why it ended early."""
        missing = CATALOG[runtime].missing()
        if missing is not None:
            return missing
        name = study_name(self.experiment, runtime, shared=self.shared)
        notes = {
            "experiment": dump(self.experiment),
            "runtime": runtime,
            "metrics": [g.name for g in self.tune.metric],
        }
        study = Study.make(self.storage, name, self.tune.directions, notes, shared=self.shared)
        self.studies[runtime] = study
        proposer: Proposer | None = None
        plan = SearchPlan(
            experiment=self.experiment,
            runtime=runtime,
            threads=self.threads,
            jobs=self.asked.jobs,
            work=self.work,
            logs=self.logs,
            data=self.store,
        )
        try:
            if self.tune.sampler in NEEDS_A_FRAMEWORK:
                log = self.logs / "proposer.log"
                proposer = Proposer(self.tune, folder=self.folder, url=self.asked.storage, log=log)
                plan.propose = proposer.propose
            self.total = len(plan.points())
            states = [trial.state for trial in study.trials()]
            self.watcher.search_started(
                runtime, self.total, sum(state.is_finished() for state in states)
            )
            search = Search(plan, study, self.watcher, end=end)
            search.run()
        except RuntimeFailure as failure:
            return str(failure)
        finally:
            if proposer is not None:
                proposer.close()
        return search.stopped

    def _confirm(self, found: list[TuneConfirmed]) -> None:
        study = self.studies.get(self.runtimes[0])
        best = ranked(study, self.tune.directions) if study is not None else []
        timeout = self.tune.trial_timeout or self.experiment.measure.timeout_s
        bench = ConfirmationWorkers(
            threads=self.threads, timeout_s=timeout, work=self.work, logs=self.logs
        )

        def told(row: TuneConfirmed, place: int, total: int) -> None:
            found.append(row)
            self.watcher.confirmed(row, place, total)

        if best:
            confirm(self.experiment, best, bench, self.store, told)

    def _document(
        self,
        result: TuneRecord,
        confirmation: list[TuneConfirmed],
        *,
        interrupted: bool,
        seconds: float,
    ) -> TuneRecord:
        searches = [
            document.search(study, runtime, self.tune, self.total, self.stopped.get(runtime))
            for runtime, study in self.studies.items()
        ]
        unsearched = [name for name in self.runtimes if name not in self.studies]
        for name in unsearched:
            empty = TuneSearch(
                runtime=name, study="", requested=self.total, stopped=self.stopped.get(name)
            )
            searches.append(empty)
        ended = (
            "interrupted"
            if interrupted
            else "stopped"
            if any(self.stopped.values())
            else "complete"
        )
        trials = [
            item
            for name, study in self.studies.items()
            for item in document.trials(study, name, self.tune)
        ]
        return result.model_copy(
            update={
                "outcome": ended,
                "best": document.overall(searches, self.tune),
                "searches": tuple(searches),
                "trials": tuple(trials),
                "confirmation": tuple(confirmation),
                "transfer": tuple(transfer(confirmation, self.tune)),
                "seconds": seconds,
                "threads": self.threads,
            }
        )

    def _write(self, result: TuneRecord) -> None:
        tune_folder.write(self.folder, result)
        if result.best is not None:
            study = self.studies[result.best.runtime]
            text = document.best_yaml(self.experiment, result.best, study, self.threads)
            write_text(self.folder / tune_folder.BEST, text)
        for search in result.searches if self.asked.per_backend else ():
            if search.best is not None:
                text = document.best_yaml(
                    self.experiment, search.best, self.studies[search.runtime], self.threads
                )
                write_text(self.folder / f"best-{search.runtime.replace(':', '-')}.yaml", text)


__all__ = ["NullWatcher", "SearchOptions", "Watcher", "resume", "tune"]
