"""Raw slices stand in ``slices.csv`` exactly as they were measured."""

from __future__ import annotations

import csv

from tests.records.stored import publish


def test_one_line_a_slice_with_every_digit(tmp_path):
    folder = publish(tmp_path)
    lines = list(csv.reader((folder.path / "slices.csv").open()))
    assert lines == [
        ["runtime", "round", "epoch", "begin", "end", "seconds", "loss", "phase"],
        ["torch", "1", "1", "0", "1", "0.5", "2.3", "first"],
        ["torch", "1", "1", "1", "11", "0.1", "2.1", "warmup"],
        ["torch", "1", "2", "11", "21", "0.012345678901234567", "", "steady"],
    ]
