"""``digits`` and ``digits_rows``: 1,797 handwritten digits 8x8 with 17 grey levels.

The test part of the Optical Recognition of Handwritten Digits data (Alpaydin and Kaynak 1998, UCI).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from nncompare.data.base import Data, Signature, digest
from nncompare.data.images import images_data, images_signature
from nncompare.data.splits import split_pool
from nncompare.spec.data import Normalized, PooledDataSet, Starter, Task


class _DigitImages(PooledDataSet, Normalized):
    """The images, in one of two shapes."""

    tasks = ("classification",)
    one_scale = True
    as_rows: ClassVar[bool]

    def signature(self, task: Task) -> Signature:
        """``(8, 8, 1)`` or, as rows, ``(8, 8)``; 10 classes."""
        return images_signature(8, rows=self.as_rows)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """Stratified parts of the images."""
        from sklearn.datasets import load_digits

        bundle = load_digits()
        images = bundle.images.astype(np.uint8)
        labels = bundle.target.astype(np.uint8)
        rows = split_pool(self, len(images), seed, labels)
        return images_data(
            rows.take(images, labels),
            levels=17,
            normalize=self.normalize,
            signature=self.signature(task),
            dtype=dtype,
            digests={"digits": digest(images, labels)},
            notes=("digits: bundled with scikit-learn",),
        )


class Digits(_DigitImages):
    """1,797 handwritten digits of 8x8 pixels with 17 grey levels, bundled with scikit-learn
    (Alpaydin and Kaynak 1998, UCI).
    """

    title = "1,797 handwritten digits 8x8, bundled with scikit-learn"
    as_rows = False

    name: Literal["digits"]


class DigitsRows(_DigitImages):
    """The images of `digits` as sequences of 8 rows."""

    title = "digits as sequences of 8 rows"
    as_rows = True
    starter = Starter(model="recurrent")

    name: Literal["digits_rows"]
