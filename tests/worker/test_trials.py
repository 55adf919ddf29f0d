"""A worker that trains one trial after the other, on a backend whose losses are known."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from nncompare.errors import MessageError
from nncompare.wire import job_folder
from nncompare.wire.messages import (
    Answer,
    BeginTrial,
    EpochEnd,
    Quit,
    Result,
    TrialEnd,
    WorkerWord,
)
from nncompare.wire.requests import ProbeRequest, Request, TrialRequest
from nncompare.worker import importing, trials
from nncompare.worker.trials import TrialServer
from tests.worker.scripted import ScriptedBackend, data, job


class Parent:
    """What the worker hears, written in advance, and what it says."""

    def __init__(self, *words: BeginTrial | Answer | Quit):
        self.words: queue.SimpleQueue[BeginTrial | Answer | Quit] = queue.SimpleQueue()
        for word in words:
            self.words.put(word)
        self.said: list[WorkerWord] = []

    def permit(self) -> bool:
        return True

    def serve(self) -> None:
        TrialServer("torch", self.said.append, self).serve()  # type: ignore[arg-type]

    @property
    def ends(self) -> list[TrialEnd]:
        return [message for message in self.said if isinstance(message, TrialEnd)]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> ScriptedBackend:
    found = ScriptedBackend()
    monkeypatch.setattr(importing, "load_backend", lambda name: found)
    monkeypatch.setattr(trials, "_settle", lambda: None)  # freezing is for a process of its own
    return found


def trial(folder: Path, *, judged: bool = False, **train: object) -> BeginTrial:
    data().save(folder / "data")
    request = TrialRequest(
        job=job(**train), data=folder / "data", judged=judged, parts=("validation",)
    )
    return begin(folder / "trial", request)


def begin(folder: Path, request: Request) -> BeginTrial:
    job_folder.write(folder, request)
    return BeginTrial(folder=str(folder))


def test_trials_follow_each_other_and_data_are_read_once(
    backend: ScriptedBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = trials.read_data
    monkeypatch.setattr(trials, "read_data", lambda *a: (reads.append(a), read(*a))[1])
    parent = Parent(trial(tmp_path), trial(tmp_path), Quit())
    parent.serve()
    assert [end.status for end in parent.ends] == ["ok", "ok"]
    assert parent.said[0].kind == "imported"
    assert [message.kind for message in parent.said].count("imported") == 1
    assert len(reads) == 1
    results = [message for message in parent.said if isinstance(message, Result)]
    assert [result.final.val_loss is None for result in results] == [False, False]
    assert results[0].final.train_loss is results[0].final.test_loss is None  # not asked for
    assert backend.session.closed == 2
    assert all(end.resident_bytes > 0 for end in parent.ends)


def test_a_judged_trial_waits_for_its_answers_and_may_be_pruned(
    backend: ScriptedBackend, tmp_path: Path
) -> None:
    parent = Parent(trial(tmp_path, judged=True), Answer(stop=False), Answer(stop=True), Quit())
    parent.serve()
    assert [end.status for end in parent.ends] == ["pruned"]
    epochs = [message for message in parent.said if isinstance(message, EpochEnd)]
    assert len(epochs) == 2


def test_a_failure_is_an_answer_and_the_next_trial_goes_on(
    backend: ScriptedBackend, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lost = BeginTrial(folder=str(tmp_path / "nowhere"))
    other = begin(tmp_path / "other", ProbeRequest(runtime="torch"))
    parent = Parent(lost, other, trial(tmp_path), Quit())
    parent.serve()
    assert [end.status for end in parent.ends] == ["failed", "failed", "ok"]
    assert "cannot read" in (parent.ends[0].reason or "")
    assert "'probe'" in (parent.ends[1].reason or "")
    assert "Traceback" not in capfd.readouterr().err


def test_an_error_of_the_framework_is_told_and_its_traceback_is_in_the_log(
    backend: ScriptedBackend, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class ResourceExhaustedError(Exception):
        pass

    def exhausted(step: int) -> float:
        raise ResourceExhaustedError("OOM when allocating\nmore of it")

    backend.session.loss = staticmethod(exhausted)
    parent = Parent(trial(tmp_path), Quit())
    parent.serve()
    (end,) = parent.ends
    assert (end.status, end.reason) == (
        "out of memory",
        "ResourceExhaustedError: OOM when allocating",
    )
    assert "Traceback" in capfd.readouterr().err
    assert backend.session.closed == 1


def test_a_word_out_of_turn_is_an_error(backend: ScriptedBackend, tmp_path: Path) -> None:
    with pytest.raises(MessageError, match="a trial was expected, not 'answer'"):
        Parent(Answer(stop=True)).serve()
    parent = Parent(trial(tmp_path, judged=True), Quit(), Quit())
    parent.serve()
    assert parent.ends[0].reason == "an answer was expected, not 'quit'"
