"""A training inside a worker, on a backend whose losses are known in advance."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nncompare.errors import Diverged, Interrupted, Refused
from nncompare.spec.job import Job
from nncompare.wire.job_folder import WEIGHTS_FILE
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import TrainRequest
from nncompare.worker import importing, training
from nncompare.worker.training import TrainingRun
from tests.worker.scripted import STEPS_PER_EPOCH, ScriptedBackend, data, job


class Trained:
    """A training with what it said."""

    def __init__(self, backend: ScriptedBackend, job_: Job, **settings: object):
        self.kinds: list[str] = []
        self.outcome = Outcome(runtime=job_.runtime)
        settings.setdefault("permit", lambda: True)
        self.run = TrainingRun(job_, send=self.send, freezes=False, **settings)  # type: ignore[arg-type]
        self.run.run(backend, data)

    def send(self, message: object) -> None:
        self.kinds.append(message.kind)  # type: ignore[attr-defined]
        self.outcome.take(message)  # type: ignore[arg-type]


def cross_entropy(logit: float) -> float:
    return math.log1p(math.exp(-logit))


def test_a_training_says_everything_once_and_in_order() -> None:
    done = Trained(ScriptedBackend(), job())
    assert done.kinds[0] == "built"
    assert done.kinds[-1] == "result"
    assert done.kinds.count("epoch") == 4
    outcome = done.outcome
    assert outcome.built is not None
    assert (outcome.built.steps, outcome.built.parameters) == (12, 6)
    assert outcome.built.device_name == "cpu (NumPy)"
    steps = [step for sample in outcome.slices for step in range(sample.begin, sample.end)]
    assert steps == list(range(12))
    assert [row.epoch for row in outcome.history] == [1, 2, 3, 4]
    assert {sample.epoch for sample in outcome.slices} == {1, 2, 3, 4}
    assert outcome.history[1].val_loss == pytest.approx(cross_entropy(2.0))
    assert outcome.history[0].train_loss == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert outcome.result is not None
    assert outcome.result.final.val_loss == outcome.history[-1].val_loss
    assert outcome.result.final.test_accuracy == 1.0
    assert outcome.result.final.best_epoch is None
    assert outcome.result.memory.source == "process"
    assert outcome.result.memory.peak_bytes is not None
    assert 0 < outcome.result.evaluate_s < outcome.result.total_s


def test_early_stopping_restores_the_best_epoch() -> None:
    backend = ScriptedBackend(quality=(1.0, 3.0, 2.0, 2.5, 9.0, 9.0))
    rule = {"metric": "val_loss", "patience": 2}
    outcome = Trained(backend, job(epochs=6, early_stopping=rule)).outcome
    assert [row.epoch for row in outcome.history] == [1, 2, 3, 4]
    assert outcome.result is not None
    assert outcome.result.final.best_epoch == 2
    assert outcome.result.final.val_loss == pytest.approx(cross_entropy(3.0))


def test_early_stopping_takes_a_loss_that_is_not_finite_for_the_worst() -> None:
    backend = ScriptedBackend(quality=(math.nan, 1.0, 0.9, 0.8, 9.0, 9.0))
    rule = {"metric": "val_loss", "patience": 2}
    outcome = Trained(backend, job(epochs=6, early_stopping=rule)).outcome
    assert [row.val_loss is None for row in outcome.history] == [True, False, False, False]
    assert outcome.result is not None
    assert outcome.result.final.best_epoch == 2


def test_a_larger_accuracy_is_better() -> None:
    # right, wrong, wrong: the first epoch is the best by accuracy
    backend = ScriptedBackend(quality=(1.0, -1.0, -1.0, 5.0))
    rule = {"metric": "val_accuracy", "patience": 2}
    outcome = Trained(backend, job(early_stopping=rule)).outcome
    assert len(outcome.history) == 3
    assert outcome.result is not None
    assert outcome.result.final.best_epoch == 1


def test_a_hopeless_training_ends_without_final_metrics() -> None:
    verdicts = iter([False, True])
    done = Trained(ScriptedBackend(), job(), is_hopeless=lambda: next(verdicts))
    assert done.run.pruned
    assert [row.epoch for row in done.outcome.history] == [1, 2]
    assert done.outcome.result is None


def test_nobody_is_asked_after_the_last_epoch() -> None:
    asked = []
    done = Trained(ScriptedBackend(), job(), is_hopeless=lambda: bool(asked.append(1)))
    assert len(asked) == 3
    assert not done.run.pruned


def test_only_the_parts_asked_for_are_evaluated() -> None:
    outcome = Trained(ScriptedBackend(), job(), parts=("validation",)).outcome
    assert outcome.result is not None
    assert outcome.result.final.val_loss is not None
    assert outcome.result.final.train_loss is outcome.result.final.test_loss is None


def test_a_loss_that_is_not_finite_names_its_steps_and_epoch() -> None:
    backend = ScriptedBackend(loss=lambda step: math.inf if step == 4 else 0.5)
    with pytest.raises(Diverged, match=r"loss is inf in steps 4 to 6 \(epoch 2\)"):
        Trained(backend, job())


def test_a_parent_that_stops_is_an_interruption() -> None:
    permits = iter([True, True, False])
    with pytest.raises(Interrupted, match="stopped by the parent"):
        Trained(ScriptedBackend(), job(), permit=lambda: next(permits))


def test_a_refusal_comes_before_the_data_are_read() -> None:
    backend = ScriptedBackend(refuses="not here")
    run = TrainingRun(job(), send=lambda _: None, permit=lambda: True)
    with pytest.raises(Refused, match="not here"):
        run.run(backend, lambda: pytest.fail("the data were read"))


class TestJob:
    """The whole job of a worker, from ``imported`` to the parity check."""

    def train(
        self,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path,
        backend: ScriptedBackend,
        *,
        parity: str = "quick",
        save_weights: bool = False,
    ) -> Outcome:
        data().save(folder / "data")
        monkeypatch.setattr(importing, "load_backend", lambda name: backend)
        outcome = Outcome(runtime="torch")
        request = TrainRequest(
            job=job(parity=parity), data=folder / "data", save_weights=save_weights
        )
        training.train(request, folder, outcome.take, lambda: True)
        assert backend.session.closed == 1
        return outcome

    def test_it_saves_what_was_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        from safetensors.numpy import load_file

        outcome = self.train(monkeypatch, tmp_path, ScriptedBackend(), save_weights=True)
        assert outcome.versions == {"numpy": np.__version__}
        assert outcome.imported is not None
        assert outcome.imported.import_s is not None
        assert outcome.parity is not None
        assert outcome.parity.error is None
        assert (tmp_path / "observation.npz").exists()
        weights = load_file(tmp_path / WEIGHTS_FILE)
        assert weights["dense_1.bias"][0] == 4 * STEPS_PER_EPOCH

    def test_a_check_that_breaks_costs_the_certificate_and_not_the_row(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def breaks(*_: object) -> None:
            raise ValueError("broken on purpose")

        monkeypatch.setattr(training, "observe_quickly", breaks)
        outcome = self.train(monkeypatch, tmp_path, ScriptedBackend())
        assert outcome.result is not None
        assert outcome.parity is not None
        assert outcome.parity.error == "ValueError: broken on purpose"
        assert "Traceback" in capfd.readouterr().err
        assert not (tmp_path / WEIGHTS_FILE).exists()

    def test_without_a_check_nothing_is_said_of_one(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        outcome = self.train(monkeypatch, tmp_path, ScriptedBackend(), parity="off")
        assert outcome.parity is None
