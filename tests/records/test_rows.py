"""From a worker's words to a row of the result."""

from __future__ import annotations

import numpy as np
import pytest

from nncompare.backends.base import Device
from nncompare.numerics.metrics import evaluate
from nncompare.records.rows import runtime_row
from nncompare.spec.data import Signature
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.layers import TensorSpec
from nncompare.wire.figures import Epoch, Final, Memory
from nncompare.wire.messages import Built, Imported, Result
from nncompare.wire.outcome import Outcome
from nncompare.wire.slice import Phase, Slice


@pytest.fixture
def job() -> Job:
    experiment = Experiment.model_validate(
        {
            "data": {"name": "random", "shape": [4], "outputs": 2},
            "model": {"family": "mlp", "hidden": [3]},
            "train": {"batch_size": 10},
        }
    )
    return Job(
        runtime="torch",
        experiment=experiment,
        signature=Signature(input=TensorSpec((4,)), outputs=2),
        threads=2,
    )


def slices(*rows: tuple[int, int, float, Phase]) -> list[Slice]:
    return [
        Slice(epoch=1, begin=begin, end=end, seconds=seconds, loss=0.5, phase=phase)
        for begin, end, seconds, phase in rows
    ]


def test_a_runtime_that_never_started_is_interrupted(job):
    row = runtime_row(job, None, 95)
    assert (row.status, row.parameters, row.timing.step_s) == ("interrupted", None, None)


def test_step_time_leaves_out_first_step_and_warmup(job):
    outcome = Outcome(runtime="torch", status="ok")
    outcome.slices = slices(
        (0, 1, 9.0, "first"), (1, 5, 4.0, "warmup"), (5, 7, 0.2, "steady"), (7, 9, 0.4, "steady")
    )
    row = runtime_row(job, outcome, 95)
    assert row.timing.step_s is not None
    assert row.timing.step_s.n == 2
    assert row.timing.step_s.median == pytest.approx(np.median([0.1, 0.2]))
    assert row.timing.first_step_s == 9.0


def test_samples_per_second_count_the_partial_last_batch_as_it_is(job):
    outcome = Outcome(runtime="torch", status="ok")
    # 95 examples: nine full steps and one of five
    outcome.slices = slices((0, 5, 1.0, "warmup"), (5, 10, 0.5, "steady"))
    assert runtime_row(job, outcome, 95).timing.samples_per_s == pytest.approx(45 / 0.5)


def test_no_steady_slice_means_no_step_time_and_no_rate(job):
    outcome = Outcome(runtime="torch", status="ok", slices=slices((0, 1, 1.0, "first")))
    row = runtime_row(job, outcome, 95)
    assert row.timing.step_s is None
    assert row.timing.samples_per_s is None
    assert row.work.gflops_per_s is None


def test_work_is_three_forward_passes_of_a_full_batch(job):
    outcome = Outcome(runtime="torch", status="ok", slices=slices((20, 30, 1.0, "steady")))
    row = runtime_row(job, outcome, 95)
    forward = 3 * (2 * 4 + 1) + 3 + 2 * (2 * 3 + 1)
    assert row.work.flops_per_step == 3 * forward * 10
    assert row.work.gflops_per_s == pytest.approx(3 * forward * 10 / 0.1 / 1e9)


@pytest.mark.parametrize("task", ["classification", "binary", "regression"])
def test_every_metric_of_every_part_has_a_place(job, task):
    found = evaluate(
        task,
        np.array([[0.5], [0.25]]),
        np.array([0, 0] if task == "classification" else [[0.0], [1.0]]),
    )
    final = {
        f"{part}_{name}": value
        for part in ("train", "val", "test")
        for name, value in found.items()
    }
    result = Result(final=Final(**final), memory=Memory(), evaluate_s=0.0, total_s=1.0)
    row = runtime_row(job, Outcome(runtime="torch", status="ok", result=result), 95)
    assert {name: getattr(row.final, name) for name in final} == final


def test_a_failed_runtime_keeps_what_it_said_before(job):
    outcome = Outcome(runtime="torch", status="failed", reason="RuntimeError: no", log="trace")
    outcome.imported = Imported(versions={"torch": "9"}, import_s=1.0)
    outcome.built = Built(
        device=Device(kind="cpu", id="cpu", name="x"),
        settings={"a": "1"},
        build_s=0.5,
        parameters=23,
        steps=100,
    )
    outcome.history = [Epoch(epoch=1, train_loss=0.5, val_loss=None)]
    outcome.slices = slices((0, 1, 9.0, "first"))
    row = runtime_row(job, outcome, 95)
    assert (row.timing.build_s, row.timing.first_step_s) == (0.5, 9.0)
    assert row.timing.train_s is row.timing.total_s is None  # it has not ended
    assert (row.device, row.device_name, row.settings) == ("cpu", "cpu (x)", {"a": "1"})
    assert row.versions == {"torch": "9"}
    assert row.timing.import_s == 1.0
    assert row.history[0].val_loss is None
    assert (row.parameters, row.log) == (23, "trace")
