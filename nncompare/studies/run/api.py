"""``nncompare.run``: a run from Python."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show.result import Result
from nncompare.spec.experiment import Experiment
from nncompare.studies.loading import loaded
from nncompare.studies.run import study
from nncompare.studies.run.progress import RunProgress
from nncompare.studies.run.record import RunRecord
from nncompare.studies.run.report import run_report
from nncompare.terminal.console import err
from nncompare.terminal.progress import is_shown
from nncompare.terminal.signals import ended_like_ctrl_c, held


class Run(Result[RunRecord]):
    """A finished run; ``run["torch"]`` is one runtime's row."""

    @property
    def runtimes(self) -> tuple[TrainedRuntime, ...]:
        """One row a runtime, in the order of the experiment."""
        return self.record.runtimes

    def __getitem__(self, runtime: str) -> TrainedRuntime:
        for row in self.runtimes:
            if row.runtime == runtime:
                return row
        names = ", ".join(row.runtime for row in self.runtimes)
        raise KeyError(f"no runtime {runtime!r} in this run; it has {names}")

    def report(self) -> RenderableType:
        return run_report(self.record, folder=self.folder)


def run(
    experiment: str | Path | Experiment,
    *overrides: str,
    output: str | Path | None = "results",
    save_weights: bool = False,
    progress: bool = True,
) -> Run:
    """Trains an experiment on every runtime and returns figures and tables.

    Args:
        experiment: a YAML file, or what ``load`` gave.
        overrides: only with a file.
        output: where the result folder is made; None: nothing is stored.
        save_weights: keep each runtime's final weights as safetensors.
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
            finished = study.run(
                asked,
                output=None if output is None else Path(output),
                watcher=display,
                save_weights=save_weights,
            )
        return Run.of(finished, stopped=signals.came)
