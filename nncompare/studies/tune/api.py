"""``nncompare.tune``: a search from Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import RenderableType

from nncompare.records.finished import Finished
from nncompare.show.result import Result
from nncompare.spec.experiment import Experiment
from nncompare.studies.loading import loaded
from nncompare.studies.tune.record import TuneBest, TuneRecord, TuneTrial
from nncompare.studies.tune.report import tune_report
from nncompare.terminal.console import err, is_live
from nncompare.terminal.progress import is_shown
from nncompare.terminal.signals import ended_like_ctrl_c, held


class Tuned(Result[TuneRecord]):
    """A finished search. Its folder holds ``best.yaml``, ``report.html`` and Optuna's
    ``study.journal`` too; in a notebook its pictures stand under its tables.
    """

    @property
    def best(self) -> TuneBest | None:
        """The best trial, with several goals the best by the first one; None if none ended well."""
        return self.record.best

    @property
    def trials(self) -> tuple[TuneTrial, ...]:
        """Every trial by its number, of each runtime that was searched."""
        return self.record.trials

    def resume(self, *changes: str, storage: str | None = None, progress: bool = True) -> Tuned:
        """Goes on with a stored search, for instance ``resume("tune.trials=40")``.

        Args:
            changes: the total or a limit, as on the command line; nothing that would make trials
                incomparable.
            storage: the same URL, if it is kept in a database.
            progress: as in ``tune``.

        Raises:
            ValueError: it was not stored.
            UsageError, ConfigError, StoreError: nothing has been trained.
        """
        if self.folder is None:
            raise ValueError("this search was not stored (output=None), so it cannot go on")
        # imported here: who reads a stored search needs no Optuna
        from nncompare.studies.tune import study

        return _searched(
            partial(study.resume, self.folder, changes, storage=storage), progress=progress
        )

    def report(self) -> RenderableType:
        return tune_report(self.record, folder=self.folder)

    def to_html(self) -> str:
        """The report with its pictures as one page that needs no network."""
        from nncompare.studies.tune.page import to_html

        return to_html(self.record)

    def _repr_html_(self) -> str:
        from nncompare.studies.tune.page import fragment

        return fragment(self.record)


def tune(
    experiment: str | Path | Experiment,
    *overrides: str,
    output: str | Path | None = "results",
    jobs: int = 1,
    per_backend: bool = False,
    storage: str | None = None,
    progress: bool = True,
) -> Tuned:
    """Searches hyperparameters as the experiment's ``tune:`` says.

    Args:
        experiment: a YAML file, or what ``load`` gave.
        overrides: only with a file.
        output: where the result folder is made; None: nothing is stored.
        jobs: workers at the same time; they share the threads.
        per_backend: one search for each runtime; else one on the first, whose best trials are
            repeated on all.
        storage: ``postgresql://…`` for several machines; None: a file in the result folder.
        progress: show on stderr how it goes, where that is a terminal or a notebook.

    Raises:
        ConfigError, DataError, StoreError, UsageError: nothing has been trained. (A StoreError may
            also come at the end; the trials are in the folder's ``study.journal`` then.)
        TypeError: overrides for an experiment that is already loaded.
        KeyboardInterrupt: Ctrl-C; what was finished has been stored, and is the exception's
            ``result``.
    """
    from nncompare.studies.tune import study
    from nncompare.studies.tune.options import SearchOptions

    options = SearchOptions(jobs=jobs, per_backend=per_backend, storage=storage)
    folder = None if output is None else Path(output)
    search = partial(study.tune, loaded(experiment, overrides), options, output=folder)
    return _searched(search, progress=progress)


def _searched(search: Callable[..., Finished[TuneRecord]], *, progress: bool) -> Tuned:
    """The search, shown as it goes, with its page written beside its result."""
    from nncompare.studies.tune.page import write
    from nncompare.studies.tune.progress import TuneProgress

    console = err()
    quiet = not is_shown(progress)
    with ended_like_ctrl_c(), held() as signals:
        with TuneProgress(console, quiet=quiet, live=is_live(console)) as display:
            finished = search(watcher=display)
        # A search that is not stored draws its pictures when it is looked at.
        if finished.folder is not None and finished.problem is None:
            write(finished.record, finished.folder)
        return Tuned.of(finished, stopped=signals.came)
