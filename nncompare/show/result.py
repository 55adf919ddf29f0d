"""What a function of the Python API gives back: a record with its report as its picture."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from rich.console import RenderableType

from nncompare.records.finished import Finished
from nncompare.records.record import Record
from nncompare.show.page import fragment, plain

R = TypeVar("R", bound=Record)

_TEXT_WIDTH = 120


class Result(ABC, Generic[R]):
    """A finished study. It shows itself as tables, in a terminal and in a notebook.

    Args:
        record: its document, all figures as attributes.
        folder: where it is stored, or None.
    """

    def __init__(self, record: R, folder: Path | None = None):
        self.record = record
        self.folder = folder

    @classmethod
    def of(cls, finished: Finished[R]) -> Self:
        """The result of a study that has just ended; one that could not be stored is a warning."""
        # the figures are at hand, which an exception would throw away
        if finished.problem is not None:
            warnings.warn(f"the result was not stored: {finished.problem}", stacklevel=3)
        return cls(finished.record, finished.folder)

    @property
    def result(self) -> R:
        """Another name of ``record``."""
        return self.record

    @property
    def complete(self) -> bool:
        """True if everything that was asked for was done."""
        return self.record.complete

    @abstractmethod
    def report(self) -> RenderableType:
        """What the command prints, as something that rich can print."""

    def to_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return self.record.model_dump(mode="json")

    def __repr__(self) -> str:
        return plain(self.report(), _TEXT_WIDTH)

    def _repr_html_(self) -> str:
        return fragment(self.report())
