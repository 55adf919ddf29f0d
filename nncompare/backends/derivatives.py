"""What a backend answers about a formula: its values and its derivatives by each mode. Imports no
framework.

Each backend's ``derivatives.py`` offers ``DERIVATIVES``, which computes with its framework's own
operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from nncompare.formulas.expression import Expression

Array = NDArray[Any]
Mode = Literal["reverse", "forward"]
MODES: tuple[Mode, ...] = ("reverse", "forward")


class Derivatives(Protocol):
    """One framework's automatic differentiation, on the CPU. Arrays are ``(N,)``, float32 or
    float64, and every operation and constant has their dtype.
    """

    how: Mapping[str, str]
    """``value``, ``reverse``, ``forward`` -> the framework's own call, for the report."""

    notes: Mapping[str, str]
    """Function of a formula -> what is known of the framework's own operation, beyond rounding."""

    def configure(self, mode: str, threads: int) -> None:
        """Threads, and the runtime's execution mode (``compile``, ``xla``, or empty)."""

    def why_not(self, mode: Mode, order: int) -> str | None:
        """The reason why this runtime lacks the mode, or None."""

    def value(self, expression: Expression, x: Array) -> Array:
        """The expression at ``x``."""

    def reverse(self, expression: Expression, x: Array, order: int) -> Array:
        """The derivative of this order by reverse mode: from the result back to ``x``."""

    def forward(self, expression: Expression, x: Array, order: int) -> Array:
        """The derivative of this order by forward mode: along with the values from ``x`` to the
        result.
        """
