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


class Stopped(KeyboardInterrupt):
    """Ctrl-C in a function of the API, raised when everything that was finished has been stored: a
    loop around the function ends with it.

    Args:
        result: with what was finished.
    """

    def __init__(self, result: Result[Any]):
        self.result = result
        where = f"stored in {result.folder}" if result.folder is not None else "in `result`"
        super().__init__(f"stopped by the user; what was finished is {where}")


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
    def of(cls, finished: Finished[R], *, stopped: bool = False) -> Self:
        """The result of a study that has just ended; one that could not be stored is a warning.

        Args:
            stopped: Ctrl-C has come, which the study may not have noticed.

        Raises:
            Stopped: the user stopped it.
        """
        # the figures are at hand, which an exception would throw away
        if finished.problem is not None:
            warnings.warn(f"the result was not stored: {finished.problem}", stacklevel=3)
        result = cls(finished.record, finished.folder)
        if stopped or finished.record.interrupted:
            raise Stopped(result)
        return result

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
