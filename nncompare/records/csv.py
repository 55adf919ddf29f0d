"""The CSV files of a result folder: raw slices and the history of every runtime."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any

from nncompare.records.trained_runtime import Epoch, TrainedRuntime
from nncompare.wire.slice import Slice

SLICE_COLUMNS = ("runtime", "round", *(field.name for field in fields(Slice)))
HISTORY_COLUMNS = ("runtime", *Epoch.model_fields)
_ROUND = 1
"""Every runtime is trained once."""


def slices_text(slices: Mapping[str, Iterable[Slice]]) -> str:
    """``slices.csv``: one line a slice.

    Args:
        slices: runtime -> those of its training, in order.
    """
    lines: list[Sequence[Any]] = [SLICE_COLUMNS]
    for runtime, samples in slices.items():
        lines += [(runtime, _ROUND, *astuple(sample)) for sample in samples]
    return _text(lines)


def history_text(runtimes: Sequence[TrainedRuntime]) -> str:
    """``history.csv``: one line per runtime and epoch; an unknown figure is an empty field."""
    lines: list[Sequence[Any]] = [HISTORY_COLUMNS]
    for row in runtimes:
        # the fields of an epoch stand in the order of the columns
        lines += [(row.runtime, *epoch.model_dump().values()) for epoch in row.history]
    return _text(lines)


def _text(lines: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()
