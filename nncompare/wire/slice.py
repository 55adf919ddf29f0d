"""A slice: the steps of a training between two readings of the clock.

It is made once, by the worker's gate, and is the same class on the wire, in the parent and in
``slices.csv``; what a table shows is summed up from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["first", "warmup", "steady"]
"""``first`` traces and compiles, ``warmup`` is not settled yet; only ``steady`` slices count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """One raw sample: steps ``begin…end - 1`` of the whole training took ``seconds``.

    Args:
        epoch: from 1; a slice never crosses the end of an epoch.
        begin, end: steps of the whole training, from 0.
        seconds: of the whole slice.
        loss: mean over the slice's examples; None if it was not finite.
        phase: what the slice counts for.
    """

    epoch: int
    begin: int
    end: int
    seconds: float
    loss: float | None
    phase: Phase

    @property
    def steps(self) -> int:
        """How many steps it took."""
        return self.end - self.begin
