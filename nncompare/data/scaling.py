"""Normalization with the figures of the training part, computed in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean and standard deviation (biased, over the examples), ``(features,)`` float64."""

    mean: Array
    std: Array

    def apply(self, x: Array) -> Array:
        """``(x - mean) / std`` in float64."""
        return (x - self.mean) / self.std


def moments(x: Array) -> Moments:
    """Figures of ``x`` ``(N, features)`` per feature. A constant feature has std 1, so that it
    becomes 0.
    """
    values = x.astype(np.float64, copy=False)
    mean, std = values.mean(axis=0), values.std(axis=0)
    # the mean of equal numbers is rounded, so their computed deviation may be a few units in the
    # last place
    constant = std <= 8 * np.finfo(np.float64).eps * np.abs(mean)
    return Moments(mean=mean, std=np.where(constant, 1.0, std))


def pixel_values(training: Array, levels: int, *, normalize: bool) -> tuple[Array, str]:
    """What each grey level becomes, and a note about it.

    Args:
        training: the training images, uint8 ``0…levels - 1``.
        levels: number of grey levels.
        normalize: True: one mean and one standard deviation over all training pixels become 0 and
            1; False: grey levels become ``0…1``.

    Returns:
        A float64 table ``(levels,)``, to be indexed with images. Counting levels makes the figures
        exact to rounding and needs no float copy of the images.
    """
    grey = np.arange(levels) / (levels - 1)
    if not normalize:
        return grey, f"pixels divided by {levels - 1}"
    share = np.bincount(training.ravel(), minlength=levels) / training.size
    mean = float(share @ grey)
    variance = float(share @ (grey - mean) ** 2)
    # blank images have no deviation to divide by
    std = float(np.sqrt(variance)) or 1.0
    note = (
        f"pixels divided by {levels - 1}, then mean {mean:.6f} and standard deviation {std:.6f} of"
        " the training part"
    )
    return (grey - mean) / std, f"{note} taken to 0 and 1"
