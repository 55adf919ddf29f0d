"""Where examples come from: one class a data set in a file of its own, and what they share.

``signature`` says what a model must take and give, without loading arrays; ``prepare`` loads,
splits and normalizes; ``fetch`` downloads ahead of time. Every module of this package is imported
when an experiment file is read, so what is heavy (scikit-learn, pooch) is imported when arrays or
downloads are asked for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nncompare.data.base import Data
from nncompare.errors import DataError, unknown_name
from nncompare.spec.data import DATA, DataSet, Report, Signature, Task

_TOO_BIG = re.compile("array is too big|maximum allowed dimension", re.IGNORECASE)


def signature(spec: DataSet, task: Task) -> Signature:
    """What a model must take and give. Only ``text`` reads its file, to know the vocabulary.

    Raises:
        DataError: the task does not fit the data set, a setting of the data set is impossible, or
            the text file is not at hand.
    """
    _check_task(spec, task)
    return spec.signature(task)


def prepare(
    spec: DataSet, task: Task, *, seed: int, dtype: DTypeLike, report: Report | None = None
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
    try:
        spec.ensure(report or _quiet)
        data = spec.prepare(task, seed=seed, dtype=kind)
        # the class of a plug-in may give anything
        if not isinstance(data, Data):
            raise DataError(
                f"data: {spec.name} prepares {type(data).__name__} where a nncompare.data.Data is"
                " wanted"
            )
        return data.cast(kind)
    except (MemoryError, ValueError) as error:
        # NumPy's word for an array that no address space holds
        if isinstance(error, ValueError) and not _TOO_BIG.search(str(error)):
            raise
        raise DataError(
            f"data: {spec.name} does not fit into memory ({error}); make it smaller"
        ) from None


def _quiet(message: str) -> None:
    """Says nothing."""


def is_at_hand(spec: DataSet) -> bool:
    """Whether ``prepare`` needs no download.

    Raises:
        DataError: ``data.path`` or the user's data folder is wrong or incomplete.
    """
    return spec.download is None or spec.place() is not None


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
        raise DataError(unknown_name("no data set", name, DATA))
    return DATA[name].fetch(report or _quiet)


def _check_task(spec: DataSet, task: Task) -> None:
    if task not in spec.tasks:
        raise DataError(
            f"task: {task} does not fit data {spec.name}, whose task is {' or '.join(spec.tasks)}"
        )


__all__ = ["Data", "DataSet", "Signature", "Task", "fetch", "is_at_hand", "prepare", "signature"]
