"""When a check passes, and which one stands for many."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.judge import summarize
from nncompare.studies.verify.record import Parity


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


def test_a_check_survives_a_document() -> None:
    """A tolerance is called gate in JSON; what cannot be compared has no figure there."""
    one = check("logits", worst=1e-3, tolerance=1e-9, layer="dense_1", step=7)
    text = Parity(checks=(one,)).model_dump_json()
    stored = json.loads(text)["checks"][0]
    assert stored["gate"] == 1e-9
    assert stored["passed"] is False
    assert stored["unit"] == "relative"
    assert Parity.model_validate_json(text).checks == (one,)
    for worst in (np.inf, np.nan):
        parity = Parity(checks=(check(worst=worst),))
        assert json.loads(parity.model_dump_json())["checks"][0]["worst"] is None
        assert Parity.model_validate_json(parity.model_dump_json()).checks[0].worst == np.inf


def test_a_damaged_check_is_refused() -> None:
    damaged = check().to_json()
    del damaged["gate"]
    with pytest.raises(ValidationError, match="without gate"):
        Parity.model_validate({"checks": [damaged]})


def test_float32_runtimes_are_compared_in_absolute_figures() -> None:
    assert check("gradient", dtype="float32").unit == "relative"
    assert check("gradient", dtype="float32", against="b").unit == "absolute"
    assert check("gradient", against="b").unit == "relative"
