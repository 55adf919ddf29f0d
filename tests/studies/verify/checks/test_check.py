"""When a check passes, and which one stands for many."""

from __future__ import annotations

from typing import Any

import numpy as np

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.judge import summarize


def check(
    quantity: str = "forward", worst: float = 0.0, tolerance: float = 1.0, **more: Any
) -> Check:
    values = {"runtime": "a", "against": "formula", "layer": None, "dtype": "float64", **more}
    return Check(quantity=Quantity(quantity), worst=worst, tolerance=tolerance, **values)


def test_nan_does_not_pass() -> None:
    assert check(worst=1.0).passed
    assert not check(worst=np.nextafter(1.0, 2.0)).passed
    assert not check(worst=np.nan).passed
    assert check(worst=np.nan).severity == np.inf
    assert check(worst=0.0, tolerance=0.0).passed
    assert check(worst=1e-300, tolerance=0.0).severity == np.inf


def test_summary_keeps_the_first_that_failed_or_the_closest() -> None:
    passing = [check(worst=w, layer=f"l{k}") for k, w in enumerate((0.1, 0.9, 0.3))]
    assert [c.layer for c in summarize(passing)] == ["l1"]
    failing = [*passing, check(worst=2.0, layer="first"), check(worst=9.0, layer="second")]
    assert [c.layer for c in summarize(failing)] == ["first"]
    apart = [
        check("loss"),
        check("forward"),
        check("forward", runtime="b"),
        check("forward", dtype="float32"),
    ]
    assert len(summarize(apart)) == 4
