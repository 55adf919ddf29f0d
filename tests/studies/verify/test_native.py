"""What ``verify`` says of the native convention, without any framework."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from nncompare.numerics import reference
from nncompare.records.ledger import LedgerEntry
from nncompare.studies.verify.changes import changes
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.record import Change, Hashes, Limit, VerifiedRuntime, VerifyRecord
from nncompare.studies.verify.report import verify_report
from nncompare.testing.cases import CASES
from nncompare.testing.numpy_backend import NumpySession
from nncompare.wire.observation import Observation
from nncompare.worker.observe import observe


@cache
def context() -> Context:
    found = CASES["layer/lstm"]
    return Context(found.job("torch"), found.data, 3)


@cache
def seen() -> Observation:
    check = context()
    return observe(
        NumpySession(check.job, check.data),
        check.job,
        check.data,
        check.plan,
        lambda _: None,
    )


def test_what_is_as_aligned_has_no_changes() -> None:
    found = list(changes(context(), "torch", seen(), seen()))
    assert [change.quantity for change in found] == [
        "training loss",
        "weights",
        "evaluation logits",
    ]
    assert all(not change.at_end for change in found)


def test_a_second_trained_bias_is_told_as_what_it_is() -> None:
    """It shows in no weight; the layer departs from its formula once it has been trained."""
    native, there = deepcopy(seen()), context()
    last = native.update_weights[there.plan.update_steps]
    name = next(
        name for name in there.trained if name.startswith("lstm") and name.endswith(".bias")
    )
    # the second bias moved as the first did
    hidden = {**last, name: 2 * last[name] - there.probe[name]}
    native.update_outputs = reference.outputs(there.model, hidden, there.x)
    found = {change.quantity: change for change in changes(there, "torch", native, seen())}
    change = found["layer, after updates"]
    assert change.layer == name.partition(".")[0]
    assert change.at_start is not None
    assert change.at_start < 1e-12
    assert change.at_end is not None
    assert change.at_end > 1e-6
    assert change.looks_like == "a second bias is trained, too, which is not among the parameters"
    assert "running statistics" not in found


def test_a_parameter_that_the_aligned_form_lacks_is_named() -> None:
    native, there = deepcopy(seen()), context()
    last = native.update_weights[there.plan.update_steps]
    name = next(
        name for name in there.trained if name.startswith("lstm") and name.endswith(".bias")
    )
    layer = name.partition(".")[0]
    native.update_outputs = reference.outputs(
        there.model, {**last, name: last[name] + 0.1}, there.x
    )
    last[f"{layer}.recurrent_bias"] = 0.1 + 0 * last[name]
    told = [
        change.looks_like
        for change in changes(there, "torch", native, seen())
        if change.layer == layer
    ]
    assert told == ["its recurrent bias, which the aligned form does not have, is trained, too"]


def result(**more: object) -> VerifyRecord:
    fields = {
        "id": "x",
        "name": "x",
        "created": "2026-05-04T10:00:00+00:00",
        "experiment": {},
        "environment": {},
        "status": "not_comparable",
        "steps": 200,
        "seconds": 1.0,
        "runtimes": (VerifiedRuntime(runtime="torch", status="ok"),),
        "hashes": Hashes(weights="0" * 64, order="1" * 64),
    }
    return VerifyRecord.model_validate(fields | more)


def text_of(what: VerifyRecord, width: int) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(verify_report(what, folder=Path("results")))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 120, 160])
def test_changes_fit_the_terminal_and_no_number_is_cut(width: int) -> None:
    change = Change(
        runtime="tensorflow",
        quantity="running statistics",
        layer="batch_norm_1.running_variance",
        at_start=9.4e-2,
        at_end=None,
        unit="relative",
        looks_like=(
            "the biased batch variance and momentum 0.01 in place of 0.1 (weight of the newest"
            " batch)"
        ),
    )
    text = text_of(result(changes=(change,), reason="convention native"), width)
    assert max(map(len, text.split("\n"))) <= width
    flat = " ".join(text.split())
    assert "batch_norm_1.running_variance" in flat
    assert "9.4e-02" in flat
    assert "n/a" in flat
    assert "newest batch)" in flat
    assert "float32" not in flat, "nothing was checked in float32"


def test_the_ledger_stands_under_a_certificate() -> None:
    entry = LedgerEntry(
        setting="epsilon placement", values={"torch": "after the root", "keras": "before the root"}
    )
    assert "Settings that differ" in text_of(result(ledger=(entry,)), 80)
    assert "before the root" in text_of(result(ledger=(entry,)), 80)


def test_how_far_the_comparison_went_is_told() -> None:
    part, whole = (Limit(steps=steps, reason="rounding grows") for steps in (31, 200))
    assert "the first 31 of 200 steps between the runtimes: rounding grows" in text_of(
        result(limit=part), 120
    )
    assert "all 200 steps between the runtimes: rounding grows" in text_of(result(limit=whole), 120)
    assert "compared" not in text_of(result(), 120)
