"""A stored result, for the tests of what reads and writes it."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from nncompare.records import reading
from nncompare.records.folder import ResultFolder, create
from nncompare.records.record import Record
from nncompare.studies import RECORDS
from nncompare.wire.slice import Slice
from tests.fixtures.results import examples

NOON = datetime.fromisoformat("2026-03-03T12:00:00+01:00")
SLICES = [
    Slice(epoch=1, begin=0, end=1, seconds=0.5, loss=2.3, phase="first"),
    Slice(epoch=1, begin=1, end=11, seconds=0.1, loss=2.1, phase="warmup"),
    Slice(epoch=2, begin=11, end=21, seconds=0.012345678901234567, loss=None, phase="steady"),
]


def read(path: Path) -> Record:
    return reading.read(path, RECORDS)


def stored(output: Path) -> list[Record]:
    """Every result that can be seen in an output folder."""
    return [read(folder) for folder in sorted(output.iterdir()) if folder.name[0] != "."]


def publish(output: Path, **changes) -> ResultFolder:
    folder = create(output, "digits", created=NOON)
    folder.write_experiment("name: digits\n")
    folder.write_slices({"torch": SLICES})
    result = examples.all_ok().model_copy(update={"id": folder.id, **changes})
    folder.write_history(result.runtimes)
    folder.write_result(result)
    folder.publish()
    return folder


def failing(monkeypatch, name: str, number: int):
    """Makes ``os.<name>`` fail as a full disk or a read-only folder does."""

    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, fail)
