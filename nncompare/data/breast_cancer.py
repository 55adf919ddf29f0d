"""``breast_cancer``: 569 tumours with 30 features, bundled with scikit-learn (Wolberg et al. 1995,
UCI).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nncompare.data.base import Data, Signature, Split, TensorSpec, digest
from nncompare.data.splits import cut, order
from nncompare.data.tables import part_features
from nncompare.spec.data import BreastCancer, Task


def signature(spec: BreastCancer, task: Task) -> Signature:
    """``(30,)``; one logit."""
    return Signature(input=TensorSpec((30,)), outputs=1)


def prepare(spec: BreastCancer, task: Task, seed: int, dtype: np.dtype[Any]) -> Data:
    """Stratified parts; target ``(N, 1)``, 1 for benign."""
    from sklearn.datasets import load_breast_cancer

    x, labels = load_breast_cancer(return_X_y=True)
    rows = cut(
        order(len(x), seed, labels), test=spec.test, validation=spec.validation, limit=spec.limit
    )
    features, note = part_features(x, rows, normalize=spec.normalize)
    y = labels.astype(np.float64).reshape(-1, 1)
    return Data(
        **{part: Split(x=features[part], y=y[index]) for part, index in vars(rows).items()},
        signature=signature(spec, task),
        digests={"breast_cancer": digest(x, labels)},
        notes=("breast_cancer: bundled with scikit-learn; target 1 is benign, 0 malignant", note),
    )
