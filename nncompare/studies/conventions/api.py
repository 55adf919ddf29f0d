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
from nncompare.studies.run.progress import RunProgress
from nncompare.terminal.console import err
from nncompare.terminal.progress import is_shown
from nncompare.terminal.signals import ended_like_ctrl_c, held


class Conventions(Result[ConventionsRecord]):
    """An experiment that was trained in both conventions."""

    def report(self) -> RenderableType:
        return conventions_report(self.record, folder=self.folder)


def compare_conventions(
    experiment: str | Path | Experiment,
    *overrides: str,
    output: str | Path | None = "results",
    progress: bool = True,
) -> Conventions:
    """Trains an experiment aligned and native: what do the frameworks' own defaults cost?

    Args:
        experiment: a YAML file, or what ``load`` gave; its own convention is not read.
        overrides: only with a file.
        output: where the result folders are made; None: nothing is stored.
        progress: show on stderr how it goes, where that is a terminal or a notebook.

    Raises:
        ConfigError, DataError, StoreError: nothing has been trained. (A result that cannot be
            stored after the training is a warning; ``folder`` is where it was kept, or None.)
        KeyboardInterrupt: Ctrl-C; what was finished has been stored, and is the exception's
            ``result``.
        TypeError: overrides for an experiment that is already loaded.
    """
    asked = loaded(experiment, overrides)
    with ended_like_ctrl_c(), held() as signals:
        display = RunProgress(
            err(), asked.backends, epochs=asked.train.epochs, quiet=not is_shown(progress)
        )
        with display:
            finished = study.compare_conventions(
                asked, output=None if output is None else Path(output), watcher=display
            )
        return Conventions.of(finished, stopped=signals.came)
