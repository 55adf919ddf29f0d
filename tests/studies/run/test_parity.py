"""The parity of a run, where its short form cannot tell rounding from a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from nncompare.config.load import load_mapping
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.studies.run import parity as run_parity
from nncompare.studies.verify.record import Parity as ParityOfRun
from nncompare.wire.messages import ParityChecked
from nncompare.wire.observation import Observation
from nncompare.wire.outcome import Outcome
from tests.studies.verify.small import failing, pair


@pytest.mark.parametrize("doubt", [True, False])
def test_a_run_in_doubt_asks_the_full_check(doubt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the first steps part; a layer that is wrong needs no second opinion."""
    check = pair("loss, every step", None, 3, 1.0)
    wrong = failing("forward", "dense_1", "float64", 1.0)
    quick = ParityOfRun(status="failed", form="quick", checks=(check,) if doubt else (check, wrong))
    full = ParityOfRun(status="certified", form="full")
    said: list[str] = []
    monkeypatch.setattr(run_parity, "judge_quick", lambda *_: quick)
    monkeypatch.setattr(run_parity, "read", lambda _: Observation())
    monkeypatch.setattr(run_parity, "_full", lambda *_: full)
    experiment = load_mapping(
        {"data": {"name": "digits"}, "model": {"family": "mlp", "hidden": [4]}}
    )
    rows = [TrainedRuntime(runtime="torch", status="ok")]
    outcomes = {"torch": Outcome(runtime="torch", parity=ParityChecked())}
    folders = {"torch": Path("seen")}
    found = run_parity.run_parity(experiment, None, [None], outcomes, rows, folders, said.append)
    assert found.status == ("certified" if doubt else "failed")
    assert bool(said) == doubt
