"""Finite differences of a function that is known at points beside the wanted one.

``f'(x)`` is about ``sum_k w_k f(x + k h) / h``, and likewise for the second derivative, with the
weights of Fornberg (1988, table 1). The formula itself is off by a power of ``h`` (truncation
error); the values of ``f`` are off by about ``eps |f|``, which the division by ``h`` makes larger
as ``h`` becomes smaller (rounding error).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from nncompare.formulas.evaluation import Array

Name = Literal["central", "five_point"]
NAMES: tuple[Name, ...] = ("central", "five_point")


@dataclass(frozen=True, kw_only=True)
class Stencil:
    """Which neighbours, with which weights.

    Args:
        weights: ``k``, in steps, -> ``w_k``, a fraction.
        order: of the derivative.
        accuracy: the truncation error is about ``h**accuracy``.
    """

    weights: Mapping[int, str]
    order: int
    accuracy: int

    def step(self, x: Array) -> Array:
        """A step for each point, a power of two (so that ``x + k h`` is rarely rounded) near the
        size where truncation and rounding weigh the same: ``eps**(1 / (order + accuracy)) * max(1,
        |x|)`` (Press et al. 2007, Numerical Recipes, section 5.7).
        """
        best = np.finfo(x.dtype).eps ** (1 / (self.order + self.accuracy))
        wanted = np.log2(best * np.maximum(1.0, np.abs(x.astype(np.float64))))
        return np.asarray(np.exp2(np.round(wanted)), x.dtype)

    def neighbours(self, x: Array, h: Array) -> Array:
        """``(len(weights), N)``: where the function must be known."""
        return np.stack([x + np.asarray(offset, x.dtype) * h for offset in self.weights])

    def derivative(self, values: Array, h: Array) -> Array:
        """The derivative ``(N,)`` from the function's values ``(len(weights), N)``, computed in
        their dtype.
        """
        numbers = [float(Fraction(weight)) for weight in self.weights.values()]
        weights = np.array(numbers, values.dtype)[:, None]
        with np.errstate(all="ignore"):
            return np.asarray((weights * values).sum(0) / h**self.order)


STENCILS: dict[int, dict[Name, Stencil]] = {
    1: {
        "central": Stencil(weights={-1: "-1/2", 1: "1/2"}, order=1, accuracy=2),
        "five_point": Stencil(
            weights={-2: "1/12", -1: "-2/3", 1: "2/3", 2: "-1/12"}, order=1, accuracy=4
        ),
    },
    2: {
        "central": Stencil(weights={-1: "1", 0: "-2", 1: "1"}, order=2, accuracy=2),
        "five_point": Stencil(
            weights={-2: "-1/12", -1: "4/3", 0: "-5/2", 1: "4/3", 2: "-1/12"}, order=2, accuracy=4
        ),
    },
}
"""By order of the derivative and name."""
