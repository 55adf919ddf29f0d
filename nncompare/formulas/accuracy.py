"""How far computed values are from exact ones, and how far rounding alone may have taken them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nncompare.formulas.evaluation import Array

ROUNDING_FACTOR = 10.0
"""So many times the rounding error that NumPy shows is allowed to a framework, which may order its
operations in another way.
"""
# Points on each side that share their rounding error: at a single point it may be 0 by luck.
_NEAR = 3


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Largest errors over the points with a finite value. None: there is no such point.

    Args:
        largest: absolute; ``at``: its index.
        relative: largest error over the size of the exact value, where that is not 0.
        beyond: points whose error is larger than allowed.
        not_finite: points that take part without a finite value.
    """

    largest: float | None
    at: int | None
    relative: float | None
    beyond: int
    not_finite: int


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """An error passes if it is at most ``relative * max(|exact|, scale) + rounding``.

    Args:
        relative: square root of the dtype's epsilon, half of its digits.
        scale: usual size of the exact values that are not 0.
        rounding: ``(N,)``, ten times the rounding error near each point.
    """

    relative: float
    scale: float
    rounding: Array

    @classmethod
    def of(
        cls, exact: Array, rounding: Array, dtype: np.dtype[Any], *, otherwise: float = 0.0
    ) -> Tolerance:
        """The tolerance for computations in a dtype.

        Args:
            exact: ``(N,)``, NaN where there is no value.
            rounding: ``(N,)``, size of the rounding error at each point; NaN: not known.
            otherwise: the scale, if every exact value is 0.
        """
        sizes = np.abs(exact[np.isfinite(exact) & (exact != 0)])
        return cls(
            relative=float(np.sqrt(np.finfo(dtype).eps)),
            scale=_usual_size(sizes) if sizes.size else otherwise,
            rounding=ROUNDING_FACTOR * _largest_nearby(rounding),
        )

    def allowed(self, exact: Array) -> Array:
        """The largest error that passes ``(N,)``."""
        return np.asarray(self.relative * np.maximum(np.abs(exact), self.scale) + self.rounding)


def _usual_size(sizes: Array) -> float:
    """The median, or a thousandth of the 90th percentile if that is more: where a function is flat
    at most points, its slopes there drown in the rounding of the others.
    """
    return float(max(np.median(sizes), np.quantile(sizes, 0.9) / 1000))


def _largest_nearby(rounding: Array) -> Array:
    """The largest rounding error among each point and its ``_NEAR`` neighbours ``(N,)``."""
    # A point whose error is not known borrows that of its neighbours.
    known = np.nan_to_num(rounding, nan=0.0, posinf=0.0)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(known, _NEAR), 2 * _NEAR + 1)
    return np.asarray(windows.max(1))


def measure_errors(values: Array, exact: Array, tolerance: Tolerance, judged: Array) -> Accuracy:
    """Errors of computed values.

    Args:
        values: ``(N,)``, in float64; NaN or infinite where the method failed.
        exact: ``(N,)``, NaN where a point takes no part.
        judged: ``(N,)``, the points where an error can be beyond the tolerance.
    """
    # What no exact value is known of can be neither right nor wrong.
    takes_part = np.isfinite(exact)
    finite = takes_part & np.isfinite(values)
    not_finite = int((takes_part & ~finite).sum())
    if not finite.any():
        return Accuracy(largest=None, at=None, relative=None, beyond=0, not_finite=not_finite)
    with np.errstate(all="ignore"):
        # Below zero is smaller than every error, so that such a point is never the largest.
        errors = np.where(finite, np.abs(values - exact), -1.0)
        sizes = np.abs(exact)
        relative = np.where(finite & (sizes > 0), errors / sizes, -1.0)
        beyond = finite & judged & (errors > tolerance.allowed(exact))
    at = int(errors.argmax())
    largest_relative = float(relative.max())
    return Accuracy(
        largest=float(errors[at]),
        at=at,
        # An error over a denormal number may overflow: that tells nothing.
        relative=largest_relative if 0 <= largest_relative < np.inf else None,
        beyond=int(beyond.sum()),
        not_finite=not_finite,
    )
