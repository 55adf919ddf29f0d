"""Cross-validation: the training and validation parts, cut into folds instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data.base import Data, Split
from nncompare.data.scaling import Moments, moments
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
    # Classes can keep their shares where every example has one class and may stand anywhere.
    stratified = task != "regression" and not data.signature.per_step and not spec.ordered
    cutter = _cutter(y, count, seed % 2**32, stratified=stratified, ordered=spec.ordered)
    folds = cutter.split(np.zeros(len(y)), y.ravel() if stratified else None)
    rows, held_rows = list(folds)[index]
    train = Split(x=x[rows], y=y[rows])
    held = Split(x=x[held_rows], y=y[held_rows])
    test = data.test
    if isinstance(spec, Normalized) and spec.normalize:
        # one figure for all numbers of an example, or one a feature
        scale = moments(train.x.reshape(-1, 1) if spec.one_scale else train.x)
        train, held, test = (_scaled(split, scale) for split in (train, held, test))
    sizes = f"{len(train):,} training and {len(held):,} validation examples"
    note = f"fold {index + 1} of {count}: {sizes}"
    return replace(data, train=train, validation=held, test=test, notes=(*data.notes, note))


def _cutter(y: Array, count: int, seed: int, *, stratified: bool, ordered: bool) -> Any:
    """What cuts rows into ``count`` folds: scikit-learn's.

    Raises:
        DataError: there are fewer examples, of one class, than folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if stratified:
        smallest = int(np.unique(y, return_counts=True)[1].min())
        if smallest < count:
            raise DataError(
                f"tune.folds: {count} folds, but one class has {smallest} examples; take fewer"
                " folds"
            )
        return StratifiedKFold(count, shuffle=True, random_state=seed)
    if len(y) < count:
        raise DataError(f"tune.folds: {count} folds of {len(y)} examples; take fewer folds")
    if ordered:
        # scikit-learn refuses a seed where nothing is drawn
        return KFold(count)
    return KFold(count, shuffle=True, random_state=seed)


def _scaled(split: Split, scale: Moments) -> Split:
    """Scaled in float64, given back in the dtype that it has."""
    return Split(x=scale.apply(split.x.astype(np.float64)).astype(split.x.dtype), y=split.y)
