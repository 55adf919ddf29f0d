"""Where Keras keeps a canonical parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nncompare.backends.base import Array
from nncompare.numerics.layout import reorder_gates


@dataclass(frozen=True)
class Binding:
    """One canonical parameter inside one Keras variable.

    Args:
        variable: the Keras variable.
        row: the parameter is this row of the variable; None: all of it.
        gates: the order of the gates on the last axis, (Keras's, canonical); empty: no gates or the
            same order.
    """

    variable: Any
    row: int | None = None
    gates: tuple[str, str] = ("", "")

    def to_canonical(self, value: Array) -> Array:
        """The parameter in a value (or gradient) of the variable; a copy."""
        part = value if self.row is None else value[self.row]
        return reorder_gates(part, *self.gates).copy()

    def read(self) -> Array:
        """A copy in canonical layout."""
        return self.to_canonical(self.variable.numpy())

    def write(self, array: Array) -> None:
        """The variable (or its row) := ``array``, given in canonical layout."""
        native = reorder_gates(array, *reversed(self.gates))
        if self.row is not None:
            whole = self.variable.numpy().copy()
            whole[self.row] = native
            native = whole
        self.variable.assign(native)
