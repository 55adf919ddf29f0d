"""``nncompare.tune``: a search from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nncompare.spec.experiment import Experiment
from nncompare.studies.run.page import plain
from nncompare.studies.tune.record import TuneBest, TuneRecord, TuneTrial
from nncompare.studies.tune.report import tune_report

if TYPE_CHECKING:
    from nncompare.records.finished import Finished


class Tuned:
    """A finished search: the figures of ``result.json`` as attributes, its tables and pictures in a
    notebook.

    Args:
        result: the document.
        folder: where it is stored, with ``best.yaml``, ``report.html`` and Optuna's
            ``study.journal``; or None.
    """

    def __init__(self, result: TuneRecord, folder: Path | None = None):
        self.result, self.folder = result, folder

    @property
    def best(self) -> TuneBest | None:
        """The best trial, with several goals the best by the first one; None if none ended well."""
        return self.result.best

    @property
    def trials(self) -> tuple[TuneTrial, ...]:
        """Every trial by its number, of each runtime that was searched."""
        return self.result.trials

    @property
    def complete(self) -> bool:
        """True if every trial was done and each search has a best one."""
        return self.result.complete

    def resume(self, *changes: str, storage: str | None = None) -> Tuned:
        """Goes on with a stored search, for instance ``resume("tune.trials=40")``.

        Args:
            changes: the total or a limit, as on the command line; nothing that would make trials
                incomparable.
            storage: the same URL, if it is kept in a database.

        Raises:
            ValueError: it was not stored.
            UsageError, ConfigError, StoreError: nothing has been trained.
        """
        if self.folder is None:
            raise ValueError("this search was not stored (output=None), so it cannot go on")
        from nncompare.studies.tune.study import resume

        return _tuned(resume(self.folder, changes, storage=storage))

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return self.result.model_dump(mode="json")

    def to_html(self) -> str:
        """The report with its pictures as one page that needs no network."""
        from nncompare.studies.tune.page import to_html

        return to_html(self.result)

    def __repr__(self) -> str:
        return plain(tune_report(self.result, folder=self.folder), width=120)

    def _repr_html_(self) -> str:
        from nncompare.studies.tune.page import fragment

        return fragment(self.result)


def search(
    experiment: Experiment,
    *,
    output: Path | None,
    jobs: int,
    per_backend: bool,
    storage: str | None,
) -> Tuned:
    """Searches and writes the report beside the result; see ``nncompare.tune`` for arguments and
    errors.
    """
    from nncompare.studies.tune.options import SearchOptions
    from nncompare.studies.tune.study import tune

    asked = SearchOptions(jobs=jobs, per_backend=per_backend, storage=storage)
    return _tuned(tune(experiment, asked, output=output))


def _tuned(finished: Finished[TuneRecord]) -> Tuned:
    from nncompare.studies.tune.page import write

    if finished.folder is not None:
        write(finished.record, finished.folder)
    return Tuned(finished.record, finished.folder)
