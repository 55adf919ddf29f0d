"""``diabetes``: 442 patients with 10 features (Efron et al. 2004)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from nncompare.data.base import Data, Signature, TensorSpec, digest
from nncompare.data.scaling import moments
from nncompare.data.splits import split_pool
from nncompare.data.tables import scaled_features
from nncompare.spec.data import Normalized, PooledDataSet, Starter, Task


class Diabetes(PooledDataSet, Normalized):
    """442 patients with 10 features, bundled with scikit-learn (Efron et al. 2004). The target, the
    disease's progression after a year, is standardized with the training part's figures.
    """

    tasks = ("regression",)
    title = (
        "442 patients, 10 features, disease progression (target standardized), from scikit-learn"
    )
    starter = Starter(epochs=20, batch_size=32)

    name: Literal["diabetes"]

    def signature(self, task: Task) -> Signature:
        """``(10,)``; one value."""
        return Signature(input=TensorSpec((10,)), outputs=1)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """Random parts; target ``(N, 1)``."""
        from sklearn.datasets import load_diabetes

        # scaled=False: scikit-learn's scaled features carry the mean and deviation of all 442
        # patients, those of the test part among them
        x, progression = load_diabetes(return_X_y=True, scaled=False)
        rows = split_pool(self, len(x), seed)
        features, note = scaled_features(x, rows.train, normalize=self.normalize)
        y = progression.astype(np.float64).reshape(-1, 1)
        figures = moments(y[rows.train])
        mean = float(figures.mean[0])
        std = float(figures.std[0])
        return Data(
            **rows.take(features, figures.apply(y)),
            signature=self.signature(task),
            digests={"diabetes": digest(x, progression)},
            notes=(
                "diabetes: bundled with scikit-learn, unscaled features",
                note,
                (
                    f"target standardized with the training part's mean {mean:.4f} and standard"
                    f" deviation {std:.4f}: a mean squared error of 1 is {std**2:.1f} in the"
                    " original unit"
                ),
            ),
        )
