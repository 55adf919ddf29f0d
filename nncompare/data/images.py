"""From grey images and labels to a data set: shared by MNIST and digits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data.base import Data, Signature, Split, TensorSpec
from nncompare.data.scaling import pixel_values

Bytes = NDArray[np.uint8]
CLASSES = 10


def images_signature(side: int, *, rows: bool) -> Signature:
    """Square grey images as ``(side, side, 1)``, or as sequences of rows ``(side, side)``."""
    shape = (side, side) if rows else (side, side, 1)
    return Signature(input=TensorSpec(shape), outputs=CLASSES)


def images_data(
    parts: dict[str, tuple[Bytes, Bytes]],
    *,
    levels: int,
    normalize: bool,
    signature: Signature,
    dtype: np.dtype[Any],
    digests: dict[str, str],
    notes: tuple[str, ...],
) -> Data:
    """Images ``(N, side, side)`` and labels ``(N,)`` of each part; images become ``dtype`` in the
    signature's shape.
    """
    values, note = pixel_values(parts["train"][0], levels, normalize=normalize)
    # Looked up in a table of the final dtype: no copy of all images in float64 is ever made.
    table = values.astype(dtype)
    splits = {}
    for part, (images, labels) in parts.items():
        x = table[images].reshape(len(images), *signature.input.shape)
        splits[part] = Split(x=x, y=labels.astype(np.int32))
    return Data(**splits, signature=signature, digests=digests, notes=(*notes, note))
