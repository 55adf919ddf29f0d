"""How the Python API opens what a user names: experiment files and stored results."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from nncompare import studies
from nncompare.config import load as config
from nncompare.data import signature
from nncompare.records import reading
from nncompare.records.folder import RESULT_FILE
from nncompare.show.result import Result
from nncompare.spec.experiment import Experiment


def load(path: str | Path, *overrides: str) -> Experiment:
    """Reads and checks an experiment file.

    Args:
        path: a YAML file.
        overrides: ``"train.optimizer.lr=3e-4"``, as on the command line.

    Raises:
        ConfigError: with every problem and its position.
    """
    return config.load(path, overrides, signature_of=signature)


def loaded(experiment: str | Path | Experiment, overrides: Sequence[str]) -> Experiment:
    """The experiment that a function of the API was given: a file's name and overrides, or what
    ``load`` gave.

    Raises:
        ConfigError: with every problem of the file and its position.
        TypeError: overrides for an experiment that is already loaded.
    """
    if not isinstance(experiment, Experiment):
        return load(experiment, *overrides)
    if overrides:
        raise TypeError("overrides belong to load() when the experiment is already loaded")
    return experiment


def read(path: str | Path) -> Result[Any]:
    """A stored result of any kind, or a document that ``--json`` has printed into a file.

    Args:
        path: a result folder, its ``result.json``, or another file.

    Returns:
        A ``Run`` for a run, a ``Certificate`` for a check, and so on.

    Raises:
        StoreError: it is missing, damaged, of an unknown kind or of another version.
    """
    path = Path(path)
    record = reading.read(path, studies.RECORDS)
    kind = studies.KINDS[record.kind]
    module = import_module(f"{studies.__name__}.{kind.study}.api")
    result: type[Result[Any]] = getattr(module, kind.result)
    return result(record, _folder(path))


def _folder(path: Path) -> Path | None:
    """The result folder that a document was read from; None: it stood in a file of its own."""
    if path.is_dir():
        return path
    return path.parent if path.name == RESULT_FILE else None
