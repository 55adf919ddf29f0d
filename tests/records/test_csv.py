"""Raw slices come back exactly, and a torn or damaged line is told."""

from __future__ import annotations

import pytest

from nncompare.errors import StoreError
from nncompare.records.folder import read_slices
from tests.records.stored import SLICES, publish


def test_come_back_exactly(tmp_path):
    folder = publish(tmp_path)
    samples, warnings = read_slices(folder.path)
    assert warnings == []
    assert [(one.epoch, one.begin, one.end, one.phase) for one in samples] == [
        (1, 0, 1, "first"),
        (1, 1, 11, "warmup"),
        (2, 11, 21, "steady"),
    ]
    assert samples[2].seconds == 0.012345678901234567
    assert samples[2].loss is None
    assert samples[0].round == 1


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_left_out_with_a_warning(tmp_path, cut):
    path = publish(tmp_path).path / "slices.csv"
    path.write_bytes(path.read_bytes()[:-cut])
    samples, warnings = read_slices(path.parent)
    assert len(samples) == 2
    assert len(warnings) == 1
    assert "slices.csv:4: the last line is torn" in warnings[0]


def test_appending_after_a_crash_drops_the_torn_line(tmp_path):
    folder = publish(tmp_path)
    path = folder.path / "slices.csv"
    path.write_bytes(path.read_bytes()[:-5])
    folder.append_slices("keras", SLICES[:1], round=2)
    samples, warnings = read_slices(folder.path)
    assert warnings == []
    assert [(one.runtime, one.round) for one in samples] == [
        ("torch", 1),
        ("torch", 1),
        ("keras", 2),
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b",0.5,", b",half,", r"slices\.csv:2: damaged: could not convert"),
        (b",first\n", b"\n", r"slices\.csv:2: damaged: 7 fields instead of 8"),
        (b",warmup\n", b",asleep\n", r"slices\.csv:3: damaged: phase is 'asleep'"),
        (b"runtime,", b"run,", r"slices\.csv:1: damaged"),
    ],
)
def test_a_bad_line_elsewhere_is_an_error_that_names_it(tmp_path, old, new, says):
    path = publish(tmp_path).path / "slices.csv"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(StoreError, match=says):
        read_slices(path.parent)


def test_missing(tmp_path):
    with pytest.raises(StoreError, match="cannot read"):
        read_slices(tmp_path)
