"""A worker that trains nothing, for tests of what stands around training: ``python -m
tests.fake_worker``.

It speaks on the wire as ``nncompare.worker`` does, and prints noise as frameworks do.
``FAKE_WORKERS`` in the environment is JSON: runtime -> ``ok`` (the default), ``crash``, ``error``
``hang``, or in a search ``slow``.

With ``--drive ARGUMENTS…`` it is the ``nncompare`` command itself, with these workers in place of
the real ones.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from pathlib import Path

from nncompare.backends.base import Device
from nncompare.wire import job_folder
from nncompare.wire.connection import Inbox, Wire, worker_end
from nncompare.wire.figures import Epoch, Final, Memory
from nncompare.wire.messages import (
    BeginTrial,
    Built,
    End,
    EpochEnd,
    Imported,
    ParentWord,
    Probed,
    Result,
    Slices,
    TrialEnd,
)
from nncompare.wire.requests import ProbeRequest, ServeTrialsRequest, TrialRequest
from nncompare.wire.slice import Slice

EPOCHS, STEPS_PER_EPOCH = 3, 40
VARIABLE = "FAKE_WORKERS"
NOISE = "2025-01-01 00:00:00.000000: I tensorflow/core/platform/cpu_feature_guard.cc:210] noise"


def command(*arguments: str) -> list[str]:
    """In place of ``launch.environment.worker_command``."""
    return [sys.executable, "-m", "tests.fake_worker", *arguments]


def history(epoch: int) -> dict[str, float]:
    """The figures of one epoch (from 1), the same for every runtime."""
    loss = 2.0 / epoch
    figures = {"train_loss": loss, "val_loss": 1.1 * loss, "val_accuracy": 1 - 0.2 * loss}
    return {**figures, "learning_rate": 1e-3, "seconds": 0.2}


DEVICE = Device(kind="cpu", id="cpu", name="fake")


def train(wire: Wire[ParentWord], runtime: str, behaviour: str) -> None:
    wire.send(Imported(versions={runtime.partition(":")[0]: "1.2.3"}, import_s=0.5))
    built = Built(
        device=DEVICE,
        settings={"engine": runtime},
        build_s=0.1,
        parameters=10,
        steps=EPOCHS * STEPS_PER_EPOCH,
    )
    wire.send(built)
    if behaviour == "crash":
        sys.stderr.write("a last word \x1b[31mbefore the crash\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    for epoch in range(1, EPOCHS + 1):
        begin = (epoch - 1) * STEPS_PER_EPOCH
        sample = Slice(
            epoch=epoch,
            begin=begin,
            end=begin + STEPS_PER_EPOCH,
            seconds=0.2,
            loss=2.0 / epoch,
            phase="first" if epoch == 1 else "steady",
        )
        wire.send(Slices(slices=(sample,)))
        wire.send(EpochEnd(figures=Epoch(epoch=epoch, **history(epoch))))
        while behaviour == "hang":
            time.sleep(1)
    final = {
        f"{part}_{name}": 0.5 for part in ("train", "val", "test") for name in ("loss", "accuracy")
    }
    memory = Memory(peak_bytes=2**28, source="process")
    wire.send(Result(final=Final(**final), memory=memory, evaluate_s=0.5, total_s=0.5))
    wire.send(End(status="ok"))


def serve_trials(wire: Wire[ParentWord], inbox: Inbox, runtime: str, behaviour: str) -> None:
    """One trial of a search after the other; the loss depends on the learning rate. ``slow``: each
    takes half a second.
    """
    wire.send(Imported(versions={runtime.partition(":")[0]: "1.2.3"}, import_s=0.5))
    while isinstance(word := inbox.words.get(), BeginTrial):
        request = job_folder.read(Path(word.folder))
        assert isinstance(request, TrialRequest)
        experiment = request.job.experiment
        wire.send(Built(device=DEVICE, settings={}, build_s=0.1, parameters=10, steps=40))
        distance = abs(math.log10(experiment.train.optimizer.lr or 1.0) + 2)
        for epoch in range(1, experiment.train.epochs + 1):
            time.sleep(0.5 / experiment.train.epochs if behaviour == "slow" else 0)
            figures = history(epoch) | {"val_loss": distance + 1 / epoch}
            wire.send(EpochEnd(figures=Epoch(epoch=epoch, **figures)))
            if request.judged and epoch < experiment.train.epochs:
                inbox.words.get()
        final = Final(val_loss=distance + 1 / experiment.train.epochs)
        memory = Memory(peak_bytes=2**28, source="process")
        wire.send(Result(final=final, memory=memory, evaluate_s=0.5, total_s=0.5))
        wire.send(TrialEnd(status="ok", reason=None, resident_bytes=2**28))


def work(asked: argparse.Namespace) -> None:
    wire = worker_end(asked.wire)
    inbox = Inbox(wire)  # ends this process when the parent is gone
    request = job_folder.read(asked.folder)
    runtime = request.runtime
    behaviour = json.loads(os.environ.get(VARIABLE, "{}")).get(runtime, "ok")
    for descriptor in (1, 2):
        os.write(descriptor, NOISE.encode() + b"\n")
    if behaviour == "error":
        wire.send(End(status="failed", reason="ImportError: libfake.so: no such file"))
    elif isinstance(request, ProbeRequest):
        wire.send(Imported(versions={runtime: "1.2.3"}))
        wire.send(Probed(devices=(DEVICE,)))
        wire.send(End(status="ok"))
    elif isinstance(request, ServeTrialsRequest):
        serve_trials(wire, inbox, runtime, behaviour)
    else:
        train(wire, runtime, behaviour)


def drive(arguments: list[str]) -> None:
    from nncompare.cli import main
    from nncompare.launch import run_worker, trials

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    run_worker.worker_command = command
    trials.worker_command = command
    sys.argv[1:] = arguments
    main()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--drive"]:
        drive(sys.argv[2:])
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wire", type=int)
    parser.add_argument("--parent", type=int)
    work(parser.parse_args())
    os._exit(0)
