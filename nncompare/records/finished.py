"""A study that has ended: its record, and where it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from nncompare.errors import StoreError
from nncompare.records.record import Record

R = TypeVar("R", bound=Record, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Finished(Generic[R]):
    """What the function of a study gives back.

    Args:
        record: its document.
        folder: its result folder; None: it is not stored.
        problem: why it could not be stored after the work was done. The figures are too dear to be
            lost with it, so it is no exception here.
    """

    record: R
    folder: Path | None = None
    problem: StoreError | None = None
