"""The functions that ``import nncompare`` offers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nncompare.config.load import load as _load
from nncompare.data import signature
from nncompare.errors import NncompareError
from nncompare.records.reading import read_as as _read_as
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import DEFAULT_RUNTIMES
from nncompare.studies.gradcheck.record import GradcheckRecord
from nncompare.studies.gradcheck.report import gradcheck_report
from nncompare.studies.gradcheck.study import DEFAULT_AT
from nncompare.studies.gradcheck.study import gradcheck as _gradcheck
from nncompare.studies.run.page import plain, to_html, to_text
from nncompare.studies.run.record import RunRecord
from nncompare.studies.run.study import run as _run
from nncompare.studies.verify.record import VerifyRecord
from nncompare.studies.verify.report import verify_report
from nncompare.studies.verify.study import verify as _verify
from nncompare.tuning import Tuned
from nncompare.tuning import search as _search


class Run:
    """A finished run: the figures of ``result.json`` as attributes, its tables as its picture.

    Args:
        result: the document.
        folder: where it is stored, or None.
    """

    def __init__(self, result: RunRecord, folder: Path | None = None):
        self.result, self.folder = result, folder

    @property
    def runtimes(self) -> tuple[TrainedRuntime, ...]:
        """One row a runtime, in the order of the experiment."""
        return self.result.runtimes

    @property
    def complete(self) -> bool:
        """True if every runtime finished."""
        return self.result.complete

    def __getitem__(self, runtime: str) -> TrainedRuntime:
        for row in self.runtimes:
            if row.runtime == runtime:
                return row
        raise KeyError(
            f"no runtime {runtime!r} in this run; it has"
            f" {', '.join(row.runtime for row in self.runtimes)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return self.result.model_dump(mode="json")

    def __repr__(self) -> str:
        return to_text(self.result, width=120)

    def _repr_html_(self) -> str:
        return to_html(self.result)


def load(path: str | Path, *overrides: str) -> Experiment:
    """Reads and checks an experiment file.

    Args:
        path: a YAML file.
        overrides: ``"train.optimizer.lr=3e-4"``, as on the command line.

    Raises:
        ConfigError: with every problem and its position.
    """
    return _load(path, overrides, signature_of=signature)


def _loaded(experiment: str | Path | Experiment, overrides: Sequence[str]) -> Experiment:
    if not isinstance(experiment, Experiment):
        return load(experiment, *overrides)
    if overrides:
        raise TypeError("overrides belong to load() when the experiment is already loaded")
    return experiment


def run(
    experiment: str | Path | Experiment,
    *overrides: str,
    output: str | Path | None = "results",
    save_weights: bool = False,
) -> Run:
    """Trains an experiment on every runtime and returns figures and tables.

    Args:
        experiment: a YAML file, or what ``load`` gave.
        overrides: only with a file.
        output: where the result folder is made; None: nothing is stored.
        save_weights: keep each runtime's final weights as safetensors.

    Raises:
        ConfigError, DataError, StoreError: nothing has been trained. (A result that cannot be
            stored after the training is a warning, and ``folder`` is None.)
        TypeError: overrides for an experiment that is already loaded.
    """
    experiment = _loaded(experiment, overrides)
    finished = _run(
        experiment, output=Path(output) if output is not None else None, save_weights=save_weights
    )
    if finished.problem is not None:
        warnings.warn(f"the result was not stored: {finished.problem}", stacklevel=2)
    return Run(finished.record, finished.folder)


def read(path: str | Path) -> Run:
    """A stored run, from its folder or its ``result.json``.

    Raises:
        StoreError: it is missing, damaged, or of another version.
    """
    path = Path(path)
    return Run(_read_as(path, RunRecord), path if path.is_dir() else path.parent)


class Gradcheck:
    """A finished gradcheck: figures in ``result``, its table in a terminal, its picture in a
    notebook.
    """

    def __init__(self, result: GradcheckRecord):
        self.result = result

    def to_dict(self) -> dict[str, Any]:
        """The document that ``nncompare gradcheck --json`` prints."""
        return self.result.model_dump(mode="json")

    def save_plot(self, path: str | Path) -> None:
        """Draws the picture, as ``.png`` or ``.svg``.

        Raises:
            StoreError: it cannot be written.
            ValueError: another ending.
        """
        from nncompare.records.atomic import write_bytes
        from nncompare.studies.gradcheck.plot import draw

        write_bytes(Path(path), draw(self.result, Path(path).suffix))

    def __repr__(self) -> str:
        return plain(gradcheck_report(self.result), width=120)

    def _repr_png_(self) -> bytes:
        from nncompare.studies.gradcheck.plot import draw

        return draw(self.result)


def gradcheck(
    formula: str,
    at: str = DEFAULT_AT,
    *,
    order: int = 1,
    dtype: str = "float64",
    backends: Sequence[str] = DEFAULT_RUNTIMES,
) -> Gradcheck:
    """Differentiates a formula in every framework by every method, against the exact derivative.

    Args:
        formula: of ``x``, for example ``"x**3 + 2*x**2"``.
        at: ``"START:STOP:COUNT"``, or points with commas.
        order: of the derivative, 1 or 2.
        dtype: ``float64`` or ``float32``.
        backends: runtimes.

    Raises:
        UsageError: the formula or another argument is not allowed; the message shows the place.
    """
    return Gradcheck(_gradcheck(formula, at=at, order=order, dtype=dtype, runtimes=backends))


class Certificate:
    """A finished check: the document of ``nncompare verify`` as attributes, its tables as its
    picture.

    Args:
        result: the document.
        folder: where it is stored, or None.
    """

    def __init__(self, result: VerifyRecord, folder: Path | None = None):
        self.result, self.folder = result, folder

    @property
    def certified(self) -> bool:
        """True if every runtime computes the same function."""
        return self.result.status == "certified"

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return self.result.model_dump(mode="json")

    def __repr__(self) -> str:
        return plain(verify_report(self.result, folder=self.folder), 120)


def verify(
    experiment: str | Path | Experiment,
    *overrides: str,
    output: str | Path | None = "results",
    steps: int = 200,
) -> Certificate:
    """Checks that the runtimes of an experiment compute the same function.

    Args:
        experiment: a YAML file, or what ``load`` gave.
        overrides: only with a file.
        output: where the result folder is made; None: nothing is stored.
        steps: of the training that is compared step by step.

    Raises:
        ConfigError, DataError, StoreError: nothing has been checked.
        UsageError: the check does not fit into memory.
        TypeError: overrides for an experiment that is already loaded.
    """
    found = _verify(
        _loaded(experiment, overrides), output=None if output is None else Path(output), steps=steps
    )
    return Certificate(found.record, found.folder)


def tune(
    experiment: str | Path | Experiment,
    *overrides: str,
    output: str | Path | None = "results",
    jobs: int = 1,
    per_backend: bool = False,
    storage: str | None = None,
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

    Raises:
        ConfigError, DataError, StoreError, UsageError: nothing has been trained. (A StoreError may
            also come at the end; the trials are in the folder's ``study.journal`` then.)
        TypeError: overrides for an experiment that is already loaded.
    """
    return _search(
        _loaded(experiment, overrides),
        output=None if output is None else Path(output),
        jobs=jobs,
        per_backend=per_backend,
        storage=storage,
    )


__all__ = [
    "Certificate",
    "Gradcheck",
    "NncompareError",
    "Run",
    "Tuned",
    "gradcheck",
    "load",
    "read",
    "run",
    "tune",
    "verify",
]
