"""The ledger names what differs among the runtimes that finished."""

from __future__ import annotations

from nncompare.records.ledger import ledger
from tests.fixtures.results import examples


def test_names_what_differs_among_those_that_finished():
    rows = (
        examples.row("torch", settings={"tf32": "off", "compiled": "no"}),
        examples.row(
            "keras", settings={"tf32": "off", "compiled": "tf.function", "engine": "TensorFlow"}
        ),
        examples.row("tensorflow", status="failed", reason="x", settings={"tf32": "on"}),
    )
    assert {entry.setting: entry.values for entry in ledger(rows)} == {
        "versions": {"torch": "torch 2.13.0", "keras": "keras 3.15.0, tensorflow 2.21.0"},
        "compiled": {"torch": "no", "keras": "tf.function"},
        "engine": {"torch": None, "keras": "TensorFlow"},
    }


def test_one_runtime_differs_from_nothing():
    assert ledger((examples.row("torch"),)) == ()
