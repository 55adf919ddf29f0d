"""``diabetes``: 442 patients with 10 features, bundled with scikit-learn (Efron et al. 2004)."""

from __future__ import annotations

from typing import Any

import numpy as np

from nncompare.data.base import Data, Signature, Split, TensorSpec, digest
from nncompare.data.scaling import moments
from nncompare.data.splits import cut, order
from nncompare.data.tables import part_features
from nncompare.spec.data import Diabetes, Task


def signature(spec: Diabetes, task: Task) -> Signature:
    """``(10,)``; one value."""
    return Signature(input=TensorSpec((10,)), outputs=1)


def prepare(spec: Diabetes, task: Task, seed: int, dtype: np.dtype[Any]) -> Data:
    """Random parts; target ``(N, 1)``, standardized with the training part's figures."""
    from sklearn.datasets import load_diabetes

    # scaled=False: scikit-learn's scaled features carry the mean and deviation of all 442 patients
    x, progression = load_diabetes(return_X_y=True, scaled=False)
    rows = cut(order(len(x), seed), test=spec.test, validation=spec.validation, limit=spec.limit)
    features, note = part_features(x, rows, normalize=spec.normalize)
    y = progression.astype(np.float64).reshape(-1, 1)
    figures = moments(y[rows.train])
    mean, std = float(figures.mean[0]), float(figures.std[0])
    return Data(
        **{
            part: Split(x=features[part], y=figures.apply(y[index]))
            for part, index in vars(rows).items()
        },
        signature=signature(spec, task),
        digests={"diabetes": digest(x, progression)},
        notes=(
            "diabetes: bundled with scikit-learn, unscaled features",
            note,
            (
                f"target standardized with the training part's mean {mean:.4f} and standard"
                f" deviation {std:.4f}: a mean squared error of 1 is {std**2:.1f} in the original"
                " unit"
            ),
        ),
    )
