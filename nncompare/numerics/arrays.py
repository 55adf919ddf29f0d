"""What the numerics compute with."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Params = dict[str, Array]
"""Canonical name, such as ``dense_1.kernel`` -> values."""
