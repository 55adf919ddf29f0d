"""``nncompare.verify``: a parity check from Python."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType

from nncompare.show.result import Result
from nncompare.spec.experiment import Experiment
from nncompare.studies.loading import loaded
from nncompare.studies.verify import study
from nncompare.studies.verify.progress import VerifyProgress
from nncompare.studies.verify.record import VerifyRecord
from nncompare.studies.verify.report import verify_report
from nncompare.terminal.console import err
from nncompare.terminal.progress import is_shown
from nncompare.terminal.signals import ended_like_ctrl_c, held


class Certificate(Result[VerifyRecord]):
    """A finished check."""

    @property
    def certified(self) -> bool:
        """True if every runtime computes the same function."""
        return self.record.status == "certified"

    def report(self) -> RenderableType:
        return verify_report(self.record, folder=self.folder)


def verify(
    experiment: str | Path | Experiment,
    *overrides: str,
    output: str | Path | None = "results",
    steps: int = 200,
    progress: bool = True,
) -> Certificate:
    """Checks that the runtimes of an experiment compute the same function.

    Args:
        experiment: a YAML file, or what ``load`` gave.
        overrides: only with a file.
        output: where the result folder is made; None: nothing is stored.
        steps: of the training that is compared step by step.
        progress: show on stderr how it goes, where that is a terminal or a notebook.

    Raises:
        ConfigError, DataError, StoreError: nothing has been checked. (A result that cannot be
            stored after the check is a warning; ``folder`` is where it was kept, or None.)
        UsageError: the check does not fit into memory.
        TypeError: overrides for an experiment that is already loaded.
    """
    asked = loaded(experiment, overrides)
    with ended_like_ctrl_c(), held() as signals:
        with VerifyProgress(err(), quiet=not is_shown(progress)) as display:
            finished = study.verify(
                asked,
                output=None if output is None else Path(output),
                watcher=display,
                steps=steps,
            )
        return Certificate.of(finished, stopped=signals.came)
