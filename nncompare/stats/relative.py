"""How much longer than the fastest."""

from __future__ import annotations

import math
from collections.abc import Mapping


def relative(seconds: Mapping[str, float]) -> dict[str, float]:
    """Each time over the smallest one.

    Args:
        seconds: runtime -> median step time. A time that is not finite and positive was not
            measured: it is left out.

    Returns:
        runtime -> ratio, 1.0 for the fastest, in the order given.
    """
    measured = {
        name: value for name, value in seconds.items() if math.isfinite(value) and value > 0
    }
    fastest = min(measured.values(), default=1.0)
    return {name: value / fastest for name, value in measured.items()}
