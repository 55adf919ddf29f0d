"""``breast_cancer``: 569 tumours with 30 features (Wolberg et al. 1995, UCI)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from nncompare.data.base import Data, Signature, TensorSpec, digest
from nncompare.data.splits import split_pool
from nncompare.data.tables import scaled_features
from nncompare.spec.data import Normalized, PooledDataSet, Starter, Task


class BreastCancer(PooledDataSet, Normalized):
    """569 tumours with 30 features, benign or malignant, bundled with scikit-learn (Wolberg et al.
    1995, UCI).
    """

    tasks = ("binary",)
    title = "569 tumours, 30 features, bundled with scikit-learn"
    starter = Starter(epochs=20, batch_size=32)

    name: Literal["breast_cancer"]

    def signature(self, task: Task) -> Signature:
        """``(30,)``; one logit."""
        return Signature(input=TensorSpec((30,)), outputs=1)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """Stratified parts; target ``(N, 1)``, 1 for benign."""
        from sklearn.datasets import load_breast_cancer

        x, labels = load_breast_cancer(return_X_y=True)
        rows = split_pool(self, len(x), seed, labels)
        features, note = scaled_features(x, rows.train, normalize=self.normalize)
        y = labels.astype(np.float64).reshape(-1, 1)
        return Data(
            **rows.take(features, y),
            signature=self.signature(task),
            digests={"breast_cancer": digest(x, labels)},
            notes=(
                "breast_cancer: bundled with scikit-learn; target 1 is benign, 0 malignant",
                note,
            ),
        )
