"""What a backend answers about a formula: its values and its derivatives by each mode. Imports no
framework.

Each backend's ``derivatives.py`` offers ``DERIVATIVES``, which computes with its framework's own
operations.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, ClassVar, Literal, Protocol

from numpy.typing import NDArray

from nncompare.formulas.expression import DERIVED, FUNCTIONS, Expression

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


def named_alike(namespace: Any) -> dict[str, Callable[[Any], Any]]:
    """Those functions of a formula that a framework's module has under the same name."""
    names = (*FUNCTIONS, *DERIVED)
    return {name: getattr(namespace, name) for name in names if hasattr(namespace, name)}


class TensorArithmetic(ABC):
    """A framework's tensors as ``formulas.expression.Arithmetic``. Numbers are made in the dtype,
    never in the framework's own default, which is float32.
    """

    functions: ClassVar[Mapping[str, Callable[[Any], Any]]]
    operators: ClassVar[Mapping[str, Callable[[Any, Any], Any]]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "**": operator.pow,
    }

    def __init__(self, dtype: Any):
        self.dtype = dtype

    @abstractmethod
    def tensor(self, value: float) -> Any:
        """``value`` as a scalar of the dtype."""

    def number(self, value: Fraction) -> Any:
        """A number of the formula."""
        return self.tensor(float(value))

    def constant(self, name: str) -> Any:
        """``pi`` or ``e``."""
        return self.tensor(math.pi if name == "pi" else math.e)
