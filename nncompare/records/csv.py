"""The CSV files of a result folder: raw slices and the history of every runtime."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, get_args

from nncompare.errors import StoreError
from nncompare.records.atomic import explained
from nncompare.records.trained_runtime import Epoch, TrainedRuntime
from nncompare.wire.slice import Phase, Slice

SLICE_COLUMNS = ("runtime", "round", "epoch", "begin", "end", "seconds", "loss", "phase")
HISTORY_COLUMNS = ("runtime", *Epoch.model_fields)
_PHASES: tuple[Phase, ...] = get_args(Phase)


@dataclass(frozen=True, kw_only=True)
class Sample(Slice):
    """One line of ``slices.csv``: a slice, and whose it is.

    Args:
        runtime: a name of the catalog.
        round: from 1.
    """

    runtime: str
    round: int


def slice_lines(runtime: str, slices: Iterable[Slice], *, round: int) -> str:
    """CSV lines of the slices of one training."""
    return _lines(
        (
            runtime,
            round,
            sample.epoch,
            sample.begin,
            sample.end,
            sample.seconds,
            sample.loss,
            sample.phase,
        )
        for sample in slices
    )


def append(path: Path, text: str, *, columns: Sequence[str]) -> None:
    """Adds whole lines to a CSV file; a line that an earlier crash left torn is cut off first.

    Raises:
        StoreError: it cannot be written.
    """
    with explained(path), path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size and not _ends_with_a_line(file):
            file.seek(0)
            size = file.truncate(file.read().rfind(b"\n") + 1)
        head = "" if size else _lines([columns])
        file.write((head + text).encode())
        file.flush()
        os.fsync(file.fileno())


def _ends_with_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def history_text(runtimes: Sequence[TrainedRuntime]) -> str:
    """``history.csv``: one line per runtime and epoch; an unknown figure is an empty field."""
    rows = (
        (row.runtime, *epoch.model_dump().values()) for row in runtimes for epoch in row.history
    )
    return _lines([HISTORY_COLUMNS, *rows])


def read_slices(folder: Path) -> tuple[list[Sample], list[str]]:
    """The raw samples of a result folder, and warnings.

    A last line without its line end was torn by a crash: it is dropped with a warning.

    Raises:
        StoreError: the file is missing, or another line is damaged; the message names the line.
    """
    path = folder / "slices.csv"
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: damaged: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    *lines, torn = text.split("\n")
    warnings = [f"{path}:{len(lines) + 1}: the last line is torn and was left out"] if torn else []
    if not lines or lines[0] != ",".join(SLICE_COLUMNS):
        raise StoreError(f"{path}:1: damaged: the first line must be {','.join(SLICE_COLUMNS)}")
    return [
        _sample(line, f"{path}:{number}") for number, line in enumerate(lines[1:], start=2)
    ], warnings


def _sample(line: str, where: str) -> Sample:
    fields = next(csv.reader([line]), [])
    if len(fields) != len(SLICE_COLUMNS):
        raise StoreError(
            f"{where}: damaged: {len(fields)} fields instead of {len(SLICE_COLUMNS)}: {line!r}"
        )
    runtime, round_, epoch, begin, end, seconds, loss, phase = fields
    try:
        if phase not in _PHASES:
            raise ValueError(f"phase is {phase!r}, not one of {', '.join(_PHASES)}")
        return Sample(
            runtime=runtime,
            round=int(round_),
            epoch=int(epoch),
            begin=int(begin),
            end=int(end),
            seconds=float(seconds),
            loss=float(loss) if loss else None,
            phase=phase,
        )
    except ValueError as error:
        raise StoreError(f"{where}: damaged: {error}: {line!r}") from None


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
