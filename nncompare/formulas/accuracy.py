"""How far computed values are from exact ones, and how far rounding alone may have taken them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ROUNDING_FACTOR = 10.0
_NEAR = 3
"""Points on each side that share their rounding error: at a single point it may be 0 by luck."""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Largest errors over the points with a finite value. None: there is no such point.

    Args:
        largest: absolute; ``at``: its index.
        relative: largest error over the size of the exact value, where that is not 0.
        beyond: points whose error is beyond the gate.
        not_finite: points that take part without a finite value.
    """

    largest: float | None
    at: int | None
    relative: float | None
    beyond: int
    not_finite: int


@dataclass(frozen=True, kw_only=True)
class Gate:
    """An error passes if it is at most ``tolerance * max(|exact|, scale) + rounding``.

    Args:
        tolerance: square root of epsilon, half of the digits.
        scale: usual size of the exact values that are not 0: the median, or a thousandth of the
            90th percentile (where a function is flat at most points, its slopes there drown in the
            rounding of the others).
        rounding: ``(N,)``, ten times the rounding error near each point.
    """

    tolerance: float
    scale: float
    rounding: Array

    def limit(self, exact: Array) -> Array:
        """The largest error that passes ``(N,)``."""
        return np.asarray(self.tolerance * np.maximum(np.abs(exact), self.scale) + self.rounding)


def make_gate(
    exact: Array, rounding: Array, dtype: np.dtype[Any], *, otherwise: float = 0.0
) -> Gate:
    """The gate for computations in a dtype.

    Args:
        exact: ``(N,)``, NaN where there is no value.
        rounding: ``(N,)``, size of the rounding error at each point; NaN: not known.
        otherwise: the scale, if every exact value is 0.
    """
    sizes = np.abs(exact[np.isfinite(exact) & (exact != 0)])
    known = np.pad(np.nan_to_num(rounding, nan=0.0, posinf=0.0), _NEAR)
    windows = np.lib.stride_tricks.sliding_window_view(known, 2 * _NEAR + 1)
    return Gate(
        tolerance=float(np.sqrt(np.finfo(dtype).eps)),
        scale=_usual(sizes) if sizes.size else otherwise,
        rounding=ROUNDING_FACTOR * windows.max(1),
    )


def _usual(sizes: Array) -> float:
    return float(max(np.median(sizes), np.quantile(sizes, 0.9) / 1000))


def measure(values: Array, exact: Array, gate: Gate, judged: Array) -> Accuracy:
    """Errors of computed values.

    Args:
        values: ``(N,)``, in float64; NaN or infinite where the method failed.
        exact: ``(N,)``, NaN where a point takes no part.
        judged: ``(N,)``, the points where an error can be beyond the gate.
    """
    takes_part = np.isfinite(exact)
    finite = takes_part & np.isfinite(values)
    if not finite.any():
        return Accuracy(
            largest=None, at=None, relative=None, beyond=0, not_finite=int(takes_part.sum())
        )
    with np.errstate(all="ignore"):
        errors = np.where(finite, np.abs(values - exact), -1.0)
        sizes = np.abs(exact)
        relative = np.where(finite & (sizes > 0), errors / sizes, -1.0)
        beyond = finite & judged & (errors > gate.limit(exact))
    at, largest = int(errors.argmax()), float(relative.max())
    return Accuracy(
        largest=float(errors[at]),
        at=at,
        relative=largest if 0 <= largest < np.inf else None,
        beyond=int(beyond.sum()),
        not_finite=int((takes_part & ~finite).sum()),
    )
