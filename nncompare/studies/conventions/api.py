"""``nncompare.compare_conventions``: both conventions from Python."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType

from nncompare.show.result import Result
from nncompare.spec.experiment import Experiment
from nncompare.studies.conventions import study
from nncompare.studies.conventions.record import ConventionsRecord
from nncompare.studies.conventions.report import conventions_report
from nncompare.studies.loading import loaded


class Conventions(Result[ConventionsRecord]):
    """An experiment that was trained in both conventions."""

    def report(self) -> RenderableType:
        return conventions_report(self.record, folder=self.folder)


def compare_conventions(
    experiment: str | Path | Experiment,
    *overrides: str,
    output: str | Path | None = "results",
) -> Conventions:
    """Trains an experiment aligned and native: what do the frameworks' own defaults cost?

    Args:
        experiment: a YAML file, or what ``load`` gave; its own convention is not read.
        overrides: only with a file.
        output: where the result folders are made; None: nothing is stored.

    Raises:
        ConfigError, DataError, StoreError: nothing has been trained. (A result that cannot be
            stored after the training is a warning, and ``folder`` is None.)
        TypeError: overrides for an experiment that is already loaded.
    """
    finished = study.compare_conventions(
        loaded(experiment, overrides),
        output=None if output is None else Path(output),
    )
    return Conventions.of(finished)
