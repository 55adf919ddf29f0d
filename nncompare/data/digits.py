"""``digits`` and ``digits_rows``: 1,797 handwritten digits 8x8 with 17 grey levels, bundled with
scikit-learn.

The test part of the Optical Recognition of Handwritten Digits data (Alpaydin and Kaynak 1998, UCI).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nncompare.data.base import Data, Signature, digest
from nncompare.data.images import images_data, images_signature
from nncompare.data.splits import cut, order
from nncompare.spec.data import Digits, DigitsRows, Task


def signature(spec: Digits | DigitsRows, task: Task) -> Signature:
    """``(8, 8, 1)`` or, as rows, ``(8, 8)``; 10 classes."""
    return images_signature(8, rows=spec.name == "digits_rows")


def prepare(spec: Digits | DigitsRows, task: Task, seed: int, dtype: np.dtype[Any]) -> Data:
    """Stratified parts of the images."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images, labels = bundle.images.astype(np.uint8), bundle.target.astype(np.uint8)
    rows = cut(
        order(len(images), seed, labels),
        test=spec.test,
        validation=spec.validation,
        limit=spec.limit,
    )
    return images_data(
        {part: (images[index], labels[index]) for part, index in vars(rows).items()},
        levels=17,
        normalize=spec.normalize,
        signature=signature(spec, task),
        dtype=dtype,
        digests={"digits": digest(images, labels)},
        notes=("digits: bundled with scikit-learn",),
    )
