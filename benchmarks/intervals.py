"""The median of a small sample with an exact interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from statistics import median
from typing import NamedTuple


class Interval(NamedTuple):
    """``coverage`` is exact for independent samples of any continuous distribution, and at least
    what was asked if the sample is large enough; with fewer than 6 values the whole range covers
    less than 95 %, and says so.
    """

    median: float
    low: float
    high: float
    coverage: float


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Interval of the median between two order statistics (Conover 1999, section 3.2).

    Between the k-th smallest and the k-th largest of n values the median lies with probability
    ``1 - 2 P(Binomial(n, 1/2) < k)``; k is the largest for which that is at least ``confidence``.
    """
    ordered, n = sorted(values), len(values)
    if not n:
        raise ValueError("no values")
    k, tail = 1, 0.5**n
    while 2 * (k + 1) <= n and 1 - 2 * (tail + comb(n, k) * 0.5**n) >= confidence:
        tail += comb(n, k) * 0.5**n
        k += 1
    return Interval(median(ordered), ordered[k - 1], ordered[n - k], 1 - 2 * tail)


def spread(values: Sequence[float]) -> float:
    """Half the range that holds the middle half of the values, relative to the median: how noisy
    they are.
    """
    ordered, n = sorted(values), len(values)
    low, high = ordered[n // 4], ordered[(3 * n - 1) // 4 if n > 1 else 0]
    return (high - low) / 2 / median(ordered)
