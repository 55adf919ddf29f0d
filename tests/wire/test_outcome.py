"""What a worker said stands in one place, whatever it said."""

from __future__ import annotations

import pytest

from nncompare.errors import MessageError
from nncompare.wire.messages import Imported, Proposed, WorkerWord
from nncompare.wire.outcome import Outcome
from tests.wire.examples import DEVICE, EPOCH, SLICE, WORKER


def test_an_outcome_that_was_told_nothing_is_empty() -> None:
    outcome = Outcome(runtime="torch")
    assert (outcome.status, outcome.versions, outcome.settings) == ("failed", {}, {})
    assert outcome.built is outcome.result is outcome.parity is None


def test_it_keeps_what_every_message_says() -> None:
    outcome = Outcome(runtime="torch")
    for message in WORKER:
        if not isinstance(message, Proposed):
            outcome.take(message)
    assert (outcome.versions, outcome.settings) == ({"torch": "2"}, {"engine": "x"})
    assert outcome.slices == [SLICE, SLICE]
    assert outcome.history == [EPOCH]
    assert outcome.built is not None
    assert (outcome.built.device, outcome.built.steps) == (DEVICE, 100)
    assert outcome.result is not None
    assert outcome.result.final.best_epoch == 3
    assert outcome.parity is not None
    assert outcome.parity.error == "ValueError: no"
    assert outcome.derivatives["forward"].how == "torch.func.jvp"
    assert outcome.probed is not None
    assert (outcome.status, outcome.reason) == ("out of memory", "no room")


@pytest.mark.parametrize("message", WORKER, ids=lambda message: message.kind)
def test_no_message_is_skipped_in_silence(message: WorkerWord) -> None:
    """Each is kept, or is known to hold nothing to keep, or is an error."""
    empty, outcome = Outcome(runtime="torch"), Outcome(runtime="torch")
    if message.kind == "proposed":
        with pytest.raises(MessageError, match="proposed"):
            outcome.take(message)
        return
    outcome.take(message)
    assert (outcome == empty) == (message.kind == "progress")


def test_what_is_no_message_at_all_is_refused() -> None:
    with pytest.raises(AssertionError):
        Outcome(runtime="torch").take({"kind": "imported"})  # type: ignore[arg-type]
    assert Imported(versions={}).import_s is None
