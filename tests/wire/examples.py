"""One message and one request of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nncompare.backends.base import Device
from nncompare.config.load import load_mapping
from nncompare.data import signature
from nncompare.formulas.formula import parse
from nncompare.spec.job import Job
from nncompare.wire.figures import Epoch, Final, Memory
from nncompare.wire.messages import (
    Answer,
    BeginTrial,
    Built,
    CheckProgress,
    Derived,
    End,
    EpochEnd,
    Go,
    Imported,
    OpenStudy,
    ParentWord,
    ParityChecked,
    Probed,
    Propose,
    Proposed,
    Quit,
    Result,
    Slices,
    Stop,
    TrialEnd,
    WorkerWord,
)
from nncompare.wire.requests import (
    CheckRequest,
    DeriveRequest,
    PerturbedRequest,
    ProbeRequest,
    Request,
    ServeTrialsRequest,
    TrainRequest,
    TrialRequest,
)
from nncompare.wire.slice import Slice

SLICE = Slice(epoch=2, begin=11, end=21, seconds=0.012345678901234567, loss=None, phase="steady")
DEVICE = Device(kind="gpu", id="cuda:0", name="some card")
EPOCH = Epoch(epoch=1, train_loss=0.1, val_loss=None, learning_rate=1e-3, seconds=2.5)

PARENT: list[ParentWord] = [
    Go(),
    Go(slices=3),
    Stop(),
    BeginTrial(folder="/somewhere"),
    Answer(stop=True),
    Quit(),
    OpenStudy(journal="study.journal", url=None, tune={"trials": 3, "metric": [{"name": "x"}]}),
    Propose(study="digits/torch", trial=7),
]
WORKER: list[WorkerWord] = [
    Imported(versions={"torch": "2"}, import_s=0.5, notes=("gelu: known",)),
    Built(device=DEVICE, settings={"engine": "x"}, build_s=0.1, parameters=10, steps=100),
    Slices(slices=(SLICE, SLICE)),
    EpochEnd(figures=EPOCH),
    Result(
        final=Final(val_loss=0.5, best_epoch=3),
        memory=Memory(peak_bytes=2**40, source="device"),
        evaluate_s=0.1,
        total_s=9.0,
    ),
    ParityChecked(error="ValueError: no"),
    CheckProgress(what="updates", done=1, of=200),
    Derived(method="forward", status="ok", how="torch.func.jvp", values=(0.1, None, -3e-300)),
    Probed(devices=(DEVICE,)),
    TrialEnd(status="pruned", reason=None, resident_bytes=2**33),
    Proposed(error=None),
    End(status="out of memory", reason="no room"),
]


def job(**train: object) -> Job:
    experiment = load_mapping(
        {
            "data": {"name": "digits"},
            "model": {"family": "mlp", "hidden": [8]},
            "train": {"optimizer": {"name": "adam", "lr": 1e-3}, **train},
        }
    )
    needs = signature(experiment.data, experiment.task)
    return Job(
        runtime="tensorflow:xla",
        experiment=experiment,
        signature=needs,
        device="cpu",
        threads=3,
        seed=7,
        dropout="masks",
        deterministic=True,
    )


def derivative(dtype: str) -> DeriveRequest:
    function = parse("gelu(x)/3 + 0.1").expression
    return DeriveRequest(
        runtime="keras:xla",
        function=function,
        derivative=function,
        order=2,
        points=np.array([0.1, np.pi, -1e-30], dtype),
        neighbours=np.array([[0.1, np.inf, 3.0], [np.nan, 1.0, 2.0]], dtype),
        threads=2,
    )


REQUESTS: list[Request] = [
    TrainRequest(job=job(), data=Path("/data"), save_weights=True),
    TrialRequest(job=job(), data=Path("/data"), judged=True, parts=("train", "validation")),
    CheckRequest(job=job(convention="native"), data=Path("/data"), steps=200),
    PerturbedRequest(job=job(), data=Path("/data"), steps=5),
    derivative("float64"),
    ProbeRequest(runtime="torch"),
    ServeTrialsRequest(runtime="torch:compile", threads=2, device="gpu"),
]
