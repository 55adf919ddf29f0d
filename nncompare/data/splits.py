"""Which examples belong to which part. Everything is decided by the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data.base import Array, Split
from nncompare.errors import DataError
from nncompare.numerics.keys import generator
from nncompare.spec.data import PooledDataSet

Rows = NDArray[np.int64]

_MORE = "take more examples"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Row numbers of each part; no row is in two of them."""

    train: Rows
    validation: Rows
    test: Rows

    def take(self, x: Array, y: Array) -> dict[str, Split]:
        """Part's name -> its rows of the inputs and targets of all examples."""
        return {part: Split(x=x[rows], y=y[rows]) for part, rows in vars(self).items()}


def split_pool(
    spec: PooledDataSet, count: int, seed: int, labels: NDArray[Any] | None = None
) -> Parts:
    """The parts of ``count`` examples, as large as the experiment file asks.

    Args:
        spec: its ``test``, ``validation`` and ``limit`` decide the sizes.
        count: number of examples.
        seed: decides who is in which part.
        labels: ``(count,)``; with them every part has the classes in nearly the same proportions.

    Raises:
        DataError: a part is empty.
    """
    rows = order(count, seed, labels)
    return cut(rows, test=spec.test, validation=spec.validation, limit=spec.limit)


def order(count: int, seed: int, labels: NDArray[Any] | None = None) -> Rows:
    """A random order of ``count`` rows, ``(count,)`` int64.

    With ``labels`` ``(count,)`` it is stratified: the members of each class are spread evenly over
    the whole order, so that every contiguous stretch holds the classes in nearly the proportions of
    the whole.
    """
    shuffled = generator(seed, "split").permutation(count)
    if labels is None:
        return shuffled
    # Each class takes places at equal distances from 0 to 1; the order is that of the places.
    place = np.empty(count)
    for label in np.unique(labels):
        members = np.flatnonzero(labels[shuffled] == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(place, kind="stable")]


def cut(rows: Rows, *, test: float, validation: float, limit: int | None) -> Parts:
    """Cuts an order into test, then (after ``limit``) validation and training.

    Args:
        rows: all rows in the order of ``order``.
        test: share of all rows.
        validation: share of the rows that are left.
        limit: use only so many of the rows that are left.

    Raises:
        DataError: a part is empty.
    """
    tested = round(len(rows) * test)
    if tested == 0:
        raise DataError(
            f"data.test: {test} of {len(rows)} examples is none; raise it or take more examples"
        )
    rest = len(rows) - tested
    # one for training and one for validation
    if rest < 2:
        raise DataError(
            f"data.test: {test} of {len(rows)} examples leaves {rest} for training and validation;"
            " lower it"
        )
    # what took more than it left is to blame for what is missing then
    remedy = "lower data.test" if tested > rest else _MORE
    train, held = hold_back(rows[tested:], validation=validation, limit=limit, remedy=remedy)
    return Parts(train=train, validation=held, test=rows[:tested])


def hold_back(
    rows: Rows, *, validation: float, limit: int | None, remedy: str = _MORE
) -> tuple[Rows, Rows]:
    """Training and validation rows.

    Args:
        remedy: what helps where there are too few rows, besides another ``validation``.

    Raises:
        DataError: one of them is empty.
    """
    pool = rows[:limit]
    held = round(len(pool) * validation)
    # a limit that cuts nothing off is not what makes the pool small
    key = "raise data.limit" if limit is not None and limit <= len(rows) else remedy
    if held == 0:
        raise DataError(
            f"data.validation: {validation} of {len(pool)} examples is none; raise it or {key}"
        )
    if held == len(pool):
        raise DataError(
            f"data.validation: {validation} of {len(pool)} examples leaves none for training; lower"
            f" it or {key}"
        )
    return pool[held:], pool[:held]
