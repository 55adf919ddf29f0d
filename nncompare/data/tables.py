"""From a table of features to a data set: shared by breast_cancer and diabetes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data.scaling import moments
from nncompare.data.splits import Rows

Array = NDArray[Any]


def scaled_features(x: Array, train: Rows, *, normalize: bool) -> tuple[Array, str]:
    """The features of all examples in float64, and a note.

    Args:
        x: ``(N, features)``.
        train: rows of the training part.
        normalize: True: each feature to mean 0 and standard deviation 1 over the training part.
    """
    values = x.astype(np.float64)
    if not normalize:
        return values, "features as they come"
    note = "each feature taken to mean 0 and standard deviation 1 with the training part's figures"
    return moments(values[train]).apply(values), note
