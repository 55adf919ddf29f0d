"""Where examples come from: one file a data set, plus look-up, download and cache.

``signature`` says what a model must take and give, without loading arrays; ``prepare`` loads,
splits and normalizes; ``fetch`` downloads ahead of time. A data set's module offers
``signature(spec, task)`` and ``prepare(spec, task, seed, dtype)``; it is imported when it is asked
for, and what is heavy (scikit-learn, pooch) when arrays or downloads are.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from nncompare.data.base import Data
from nncompare.errors import DataError
from nncompare.spec.data import DATA, AnyData, Signature, Task

Report = Callable[[str], None]

_MODULES = {
    "mnist": "mnist",
    "mnist_rows": "mnist",
    "digits": "digits",
    "digits_rows": "digits",
    "breast_cancer": "breast_cancer",
    "diabetes": "diabetes",
    "pattern": "pattern",
    "text": "text",
    "adding": "adding",
    "random": "random",
}
DOWNLOADED = {"mnist": "mnist", "mnist_rows": "mnist", "text": "text"}
"""The data sets that are files from the network or of the user -> the name to fetch; all others are
bundled or generated.
"""
assert _MODULES.keys() == DATA.keys(), "every data set of spec.data has a module"


def signature(spec: AnyData, task: Task) -> Signature:
    """What a model must take and give. Only ``text`` reads its file, to know the vocabulary.

    Raises:
        DataError: the task does not fit the data set, a setting of the data set is impossible, or
            the text file is not at hand.
    """
    _check_task(spec, task)
    return cast(Signature, _module(spec.name).signature(spec, task))


def prepare(
    spec: AnyData, task: Task, *, seed: int, dtype: DTypeLike, report: Report | None = None
) -> Data:
    """The data set, split and normalized.

    Args:
        spec: which data set and how it is cut.
        task: decides the targets' form, see ``data.base.Split``.
        seed: keys the split and what is generated.
        dtype: of all floating-point arrays; tokens and classes are int32. Statistics are computed
            in float64.
        report: is told the steps of a download, one line each.

    Raises:
        DataError: files are missing or damaged, a part would be empty, or the arrays do not fit
            into memory.
    """
    _check_task(spec, task)
    kind: np.dtype[Any] = np.dtype(dtype)
    module = _module(spec.name)
    try:
        if hasattr(module, "ensure"):
            module.ensure(spec, report or _quiet)
        data = cast(Data, module.prepare(spec, task, seed, kind))
        return data.cast(kind)
    except MemoryError as error:
        raise DataError(
            f"data: {spec.name} does not fit into memory ({error}); make it smaller"
        ) from None


def _quiet(message: str) -> None:
    """Says nothing."""


def at_hand(spec: AnyData) -> Path | None:
    """Where the files of a data set are that has files of its own (``DOWNLOADED``); None:
    ``prepare`` would download.

    Raises:
        DataError: ``data.path`` or the user's data folder is wrong or incomplete.
    """
    return cast("Path | None", _module(spec.name).at_hand(spec))


def fetch(name: str, *, report: Report | None = None) -> Path | None:
    """Downloads and checks a data set ahead of time.

    Args:
        name: a data set, ``mnist`` or ``text`` (tinyshakespeare) for instance.
        report: is told each step in one line.

    Returns:
        The folder or file; None for a data set that needs no download.

    Raises:
        DataError: unknown name, no mirror answered, or a file is damaged.
    """
    if name not in DATA:
        close = get_close_matches(name, DATA, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise DataError(f"there is no data set {name!r}{hint} Known: {', '.join(DATA)}")
    say = report or _quiet
    get = getattr(_module(name), "fetch", None)
    if get is None:
        say(f"{name}: nothing to download, it is {DATA[name].title}")
        return None
    return cast(Path, get(say))


def _module(name: str) -> Any:
    return import_module(f"nncompare.data.{_MODULES[name]}")


def _check_task(spec: AnyData, task: Task) -> None:
    if task not in spec.tasks:
        raise DataError(
            f"task: {task} does not fit data {spec.name}, whose task is {' or '.join(spec.tasks)}"
        )


__all__ = ["DOWNLOADED", "at_hand", "fetch", "prepare", "signature"]
