"""Cross-validation: the training and validation parts, cut into folds instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data.base import Data, Split
from nncompare.data.scaling import moments
from nncompare.errors import DataError
from nncompare.spec.data import DataSet, Normalized, Task

Array = NDArray[Any]


def fold(data: Data, spec: DataSet, task: Task, *, count: int, index: int, seed: int) -> Data:
    """The data with fold ``index`` of ``count`` as validation and the other folds as training; the
    test part stays.

    Classes keep their shares in every fold (scikit-learn's ``StratifiedKFold``; ``KFold``
    otherwise). Where the data set normalizes its inputs, they are normalized anew with the figures
    of this fold's training part: that was an affine map of the inputs, so a second one gives what
    the raw inputs would have given. Targets stay as they are.

    Args:
        data: from ``prepare``.
        seed: keys the shuffling.

    Raises:
        DataError: there are fewer examples, of one class, than folds.
    """
    x = np.concatenate([data.train.x, data.validation.x])
    y = np.concatenate([data.train.y, data.validation.y])
    rows, out = _rows(y, spec, task, count, index, seed, per_step=data.signature.per_step)
    parts = {
        "train": Split(x=x[rows], y=y[rows]),
        "validation": Split(x=x[out], y=y[out]),
        "test": data.test,
    }
    if isinstance(spec, Normalized) and spec.normalize:
        parts = _normalized(parts, one_scale=spec.one_scale)
    train, held = parts["train"], parts["validation"]
    note = (
        f"fold {index + 1} of {count}: {len(rows):,} training and {len(out):,} validation examples"
    )
    return replace(
        data, train=train, validation=held, test=parts["test"], notes=(*data.notes, note)
    )


def _rows(
    y: Array, spec: DataSet, task: Task, count: int, index: int, seed: int, *, per_step: bool
) -> tuple[Array, Array]:
    from sklearn.model_selection import KFold, StratifiedKFold

    stratified = task != "regression" and not per_step and not spec.ordered
    if stratified:
        smallest = int(np.unique(y, return_counts=True)[1].min())
        if smallest < count:
            raise DataError(
                f"tune.folds: {count} folds, but one class has {smallest} examples; take fewer"
                " folds"
            )
        cutter: Any = StratifiedKFold(count, shuffle=True, random_state=seed % 2**32)
    elif len(y) < count:
        raise DataError(f"tune.folds: {count} folds of {len(y)} examples; take fewer folds")
    else:
        shuffle = not spec.ordered
        cutter = KFold(count, shuffle=shuffle, random_state=seed % 2**32 if shuffle else None)
    train, held = list(cutter.split(np.zeros(len(y)), y.ravel() if stratified else None))[index]
    return train, held


def _normalized(parts: dict[str, Split], *, one_scale: bool) -> dict[str, Split]:
    """``one_scale``: one mean and one deviation for all pixels, else one for each feature."""
    train = parts["train"].x
    figures = moments(train.reshape(-1, 1) if one_scale else train)
    mean, std = (figures.mean[0], figures.std[0]) if one_scale else (figures.mean, figures.std)

    def scaled(x: Array) -> Array:
        return ((x.astype(np.float64) - mean) / std).astype(x.dtype)

    return {part: Split(x=scaled(split.x), y=split.y) for part, split in parts.items()}
