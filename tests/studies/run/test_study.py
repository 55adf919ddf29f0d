"""``studies.run``: what a run gives back and whom it tells."""

from __future__ import annotations

from pathlib import Path

import nncompare
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.studies.run.study import run
from nncompare.studies.run.watcher import Watcher


class Rows(Watcher):
    """Keeps the rows that a progress display gets."""

    def __init__(self) -> None:
        self.rows: list[TrainedRuntime] = []

    def finished(self, runtime: str, row: TrainedRuntime) -> None:
        assert row.runtime == runtime
        self.rows.append(row)


def test_the_display_gets_the_rows_of_the_result(tiny: Path) -> None:
    watcher = Rows()
    # the last batch of an epoch is a part of one: its size depends on the number of examples
    experiment = nncompare.load("tiny.yaml", "train.batch_size=500")
    finished = run(experiment, output=None, watcher=watcher)
    assert finished.record.complete
    assert all(row.timing.samples_per_s for row in watcher.rows)
    assert tuple(watcher.rows) == finished.record.runtimes
