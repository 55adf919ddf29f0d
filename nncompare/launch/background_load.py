"""How much of the processors other programs took while something was measured."""

from __future__ import annotations

import os
import time

import psutil

SHORTEST_S = 1.0
"""Processor seconds below which the clocks' ticks decide more than the load."""


class BackgroundLoad:
    """Counts from its making; this process and the children that it has waited for are no
    background.
    """

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._busy = _busy_s()
        self._own = _own_s()

    def share(self) -> float | None:
        """Share of all logical processors that others used, 0 to 1; None where too little time has
        passed to tell.
        """
        elapsed = (time.monotonic() - self._begun) * (os.cpu_count() or 1)
        # a share of a few ticks would call a quiet machine busy
        if elapsed < SHORTEST_S:
            return None
        others = (_busy_s() - self._busy) - (_own_s() - self._own)
        # the clocks tick in hundredths of a second, so a quiet machine may come out below 0
        return min(max(others / elapsed, 0.0), 1.0)


def _busy_s() -> float:
    """Processor seconds that were not idle, on the whole machine, stolen ones included."""
    spent = psutil.cpu_times()
    # systems differ in the names that they have; guests are in "user" already
    names = ("user", "nice", "system", "irq", "softirq", "steal", "interrupt", "dpc")
    return float(sum(getattr(spent, name, 0.0) for name in names))


def _own_s() -> float:
    """Processor seconds of this process and of the children that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
