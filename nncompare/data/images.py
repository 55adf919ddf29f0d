"""From grey images and labels to a data set: shared by MNIST and digits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nncompare.data.base import Data, Signature, Split, TensorSpec
from nncompare.data.scaling import pixel_values

CLASSES = 10


def images_signature(side: int, *, rows: bool) -> Signature:
    """Square grey images as ``(side, side, 1)``, or as sequences of rows ``(side, side)``."""
    shape = (side, side) if rows else (side, side, 1)
    return Signature(input=TensorSpec(shape), outputs=CLASSES)


def images_data(
    parts: Mapping[str, Split],
    *,
    levels: int,
    normalize: bool,
    signature: Signature,
    dtype: np.dtype[Any],
    digests: dict[str, str],
    notes: tuple[str, ...],
) -> Data:
    """Images ``(N, side, side)`` and labels ``(N,)`` of each part, both uint8; images become
    ``dtype`` in the signature's shape.
    """
    values, note = pixel_values(parts["train"].x, levels, normalize=normalize)
    # Looked up in a table of the final dtype: no copy of all images in float64 is ever made.
    table = values.astype(dtype)
    splits = {}
    for part, split in parts.items():
        x = table[split.x].reshape(len(split), *signature.input.shape)
        splits[part] = Split(x=x, y=split.y.astype(np.int32))
    return Data(**splits, signature=signature, digests=digests, notes=(*notes, note))
