"""Only causes are told, not what follows from them."""

from __future__ import annotations

import pytest

from nncompare.studies.verify.explanation.root_causes import root_causes
from tests.studies.verify.checks.test_check import check
from tests.studies.verify.small import failing


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        (["forward", "forward, training", "loss", "gradient"], ["forward"]),
        (["loss", "gradient", "loss 1", "update"], ["loss", "update"]),
        (["gradient", "update"], ["gradient", "update"]),
        (["forward", "update", "running statistics"], ["forward", "update"]),
        (["round trip", "forward", "update"], ["round trip"]),
        (["loss 2", "update", "forward after updates"], ["forward after updates"]),
        (["running statistics", "logits"], ["running statistics"]),
        (["loss, every step", "update"], ["update"]),
        (["loss, every step"], ["loss, every step"]),
        (["update after load", "long pieces"], ["update after load"]),
        (["long pieces", "loss of long pieces"], ["long pieces"]),
        ([], []),
    ],
)
def test_only_causes_are_told(failed: list[str], told: list[str]) -> None:
    checks = [
        check(name.rstrip(" 12"), worst=2.0, step=int(name[-1]) if name[-1].isdigit() else None)
        for name in failed
    ]
    assert [cause.quantity for cause in root_causes(checks)] == [
        name.rstrip(" 12") for name in told
    ]


def test_a_wrong_update_explains_the_one_after_a_load() -> None:
    names = ("forward", "update", "update after load")
    failed = [failing(quantity, "dense_1", "float64", 1.0, step=1) for quantity in names]
    assert [check.quantity for check in root_causes(failed)] == ["forward", "update"]
    assert [check.quantity for check in root_causes([failed[0], failed[2]])] == [
        "forward",
        "update after load",
    ]
