"""What the report of a check says: the verdict, where runtimes part, who could not be checked, and
the figures with their gates.
"""

from __future__ import annotations

import numpy as np
import pytest

from nncompare.studies.verify.record import ParityFinding, VerifiedRuntime
from nncompare.studies.verify.report import verdict
from tests.studies.verify.checks.test_check import check
from tests.studies.verify.test_native import result, text_of

TORCH = VerifiedRuntime(runtime="torch", status="ok")
KERAS = VerifiedRuntime(runtime="keras", status="ok")
TENSORFLOW = VerifiedRuntime(runtime="tensorflow", status="ok")
NATIVE = {"train": {"convention": "native"}}


def finding(runtime: str = "keras", **more: object) -> ParityFinding:
    fields = {
        "runtime": runtime,
        "quantity": "forward",
        "layer": "dense_1",
        "step": None,
        "dtype": "float64",
        "worst": 1e-3,
        "gate": 1e-12,
        "looks_like": "epsilon 0.001 in place of 1e-05",
    }
    return ParityFinding.model_validate(fields | more)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"status": "certified"}, "CERTIFIED: torch computes what the formulas say."),
        (
            {"status": "certified", "runtimes": (TORCH, KERAS, TENSORFLOW)},
            "CERTIFIED: torch, keras and tensorflow compute the same function.",
        ),
        (
            {"status": "certified", "runtimes": (TORCH, KERAS), "experiment": NATIVE},
            "CERTIFIED: torch and keras each do what is declared of the framework's own defaults.",
        ),
        (
            {"status": "failed", "findings": (finding(), finding("torch"), finding())},
            "FAILED: not the same function. It parts in keras and torch.",
        ),
        ({"status": "failed"}, "FAILED: the runtimes do not compute the same function."),
        (
            {"status": "failed", "experiment": NATIVE},
            "FAILED: a runtime does not do what is declared of its own defaults.",
        ),
        (
            {"status": "not_comparable", "experiment": NATIVE, "reason": "nothing was checked"},
            "NOT COMPARABLE: nothing was checked.",
        ),
        ({"status": "not_comparable"}, "NOT COMPARABLE: no reason was given."),
    ],
)
def test_the_verdict_is_one_sentence(more: dict[str, object], sentence: str) -> None:
    assert verdict(result(**more)) == sentence


def test_a_finding_says_where_by_how_much_and_why() -> None:
    loss = finding(quantity="loss", layer=None, step=3, worst=None, looks_like=None)
    text = text_of(result(status="failed", findings=(finding(), loss)), 160)
    assert "keras  forward of dense_1: off by 1.0e-03, gate 1e-12 (float64)" in text
    assert "looks like: epsilon 0.001 in place of 1e-05" in text
    assert "loss, step 3: cannot be compared (float64)" in text
    assert "no single change of the formulas gives this" in text


def test_who_could_not_be_checked_is_told_with_the_end_of_its_log() -> None:
    failed = VerifiedRuntime(
        runtime="keras", status="failed", reason="it broke", log="one\x1b[31m\ntwo"
    )
    text = text_of(result(runtimes=(TORCH, failed)), 120)
    assert "keras  failed: it broke" in text
    assert "| one" in text
    assert "| two" in text
    assert "\x1b" not in text


def test_figures_stand_beside_their_gates_and_those_beyond_have_a_mark() -> None:
    checks = (
        check("forward", 2e-3, 1e-12, runtime="torch"),
        check("forward", 0.0, 1e-12, runtime="keras"),
        check("loss", np.inf, 1e-12, runtime="torch"),
        check("weights", 1e-4, 1e-3, runtime="keras", against="torch", dtype="float32"),
        check("weights", 1e-4, 2e-3, runtime="tensorflow", against="torch", dtype="float32"),
    )
    text = text_of(result(checks=checks), 160)
    rows = [line.split() for line in text.splitlines()]
    assert ["quantity", "judge", "unit", "gate", "torch", "keras"] in rows
    assert ["forward", "formula", "rel.", "1e-12", "2.0e-03", "!", "0"] in rows
    assert ["loss", "formula", "rel.", "1e-12", "none", "!", "n/a"] in rows
    assert ["weights", "abs.", "floor", "1.0e-04", "1.0e-04"] in rows
    assert "! leaves its gate" in text
