"""Prepared arrays on disk, made once for all trials that use the same."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from nncompare.data import prepare
from nncompare.data.base import Data
from nncompare.data.folds import fold as cut_fold
from nncompare.errors import DataError, StoreError
from nncompare.spec.experiment import Experiment

_MOST_KEPT = 12
"""Prepared data sets that stay on the disk: a search may change the data, and folds need one each.
"""


class DataStore:
    """Prepared arrays on disk.

    Args:
        folder: of this process alone.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._saved: dict[str, tuple[Path, int]] = {}
        """Key -> folder and number of training examples; the oldest first."""
        self._last: tuple[str, Data] | None = None
        """The arrays that were prepared last, which all folds are cut from."""

    def get(
        self, experiment: Experiment, *, folds: int | None = None, fold: int = 0
    ) -> tuple[Path, int]:
        """The folder of the arrays, and the number of training examples.

        Args:
            folds: number of folds; None: the data as they are split.
            fold: which of them, from 0.

        Raises:
            DataError: the data cannot be had.
            StoreError: there is no room for them.
        """
        key = _key(experiment)
        if folds:
            key = f"{key}-{fold}of{folds}"
        if key in self._saved:
            return self._saved[key]
        data = self.prepared(experiment)
        if folds:
            seed = experiment.train.seed
            data = cut_fold(
                data, experiment.data, experiment.task, count=folds, index=fold, seed=seed
            )
        # All folds of one experiment stay, so that no trial prepares them anew.
        while len(self._saved) >= max(_MOST_KEPT, folds or 0):
            oldest, _ = self._saved.pop(next(iter(self._saved)))
            shutil.rmtree(oldest, ignore_errors=True)
        try:
            data.save(self._folder / key)
        except DataError as error:
            # No trial's fault: the next one would fail as well.
            raise StoreError(str(error)) from error
        self._saved[key] = (self._folder / key, len(data.train))
        return self._saved[key]

    def prepared(self, experiment: Experiment) -> Data:
        """The arrays themselves, as they are split."""
        key = _key(experiment)
        # Most searches change the model and the training, and never the data.
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        dtype = np.dtype(experiment.train.dtype)
        data = prepare(experiment.data, experiment.task, seed=experiment.train.seed, dtype=dtype)
        self._last = (key, data)
        return data


def _key(experiment: Experiment) -> str:
    """Of all that decides the arrays."""
    parts = [
        experiment.data.model_dump(mode="json"),
        experiment.task,
        experiment.train.seed,
        experiment.train.dtype,
    ]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
