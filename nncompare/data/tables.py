"""From a table of features to a data set: shared by breast_cancer and diabetes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data.scaling import moments
from nncompare.data.splits import Parts

Array = NDArray[Any]


def part_features(x: Array, rows: Parts, *, normalize: bool) -> tuple[dict[str, Array], str]:
    """The features of each part in float64, and a note.

    Args:
        x: ``(N, features)``.
        rows: of each part.
        normalize: True: each feature to mean 0 and standard deviation 1 over the training part.
    """
    values = x.astype(np.float64)
    if not normalize:
        return {part: values[index] for part, index in rows.items()}, "features as they come"
    figures = moments(values[rows.train])
    scaled = {part: figures.apply(values[index]) for part, index in rows.items()}
    return (
        scaled,
        "each feature taken to mean 0 and standard deviation 1 with the training part's figures",
    )
