"""A worker that trains nothing, for tests of what stands around training: ``python -m
tests.fake_worker``.

It speaks on the wire as ``nncompare.worker`` does, and prints noise as frameworks do.
``FAKE_WORKERS`` in the environment is JSON: runtime -> ``ok`` (the default), ``crash``, ``error``
or ``hang``.

With ``--drive ARGUMENTS…`` it is the ``nncompare`` command itself, with these workers in place of
the real ones.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from nncompare.wire.connection import Inbox, Wire

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


def train(wire: Wire, runtime: str, behaviour: str) -> None:
    wire.send("imported", versions={runtime.partition(":")[0]: "1.2.3"}, import_s=0.5)
    settings = {"engine": runtime}
    wire.send(
        "built",
        build_s=0.1,
        device="cpu",
        device_name="cpu (fake)",
        parameters=10,
        settings=settings,
        steps=120,
    )
    if behaviour == "crash":
        sys.stderr.write("a last word \x1b[31mbefore the crash\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    for epoch in range(1, EPOCHS + 1):
        begin = (epoch - 1) * STEPS_PER_EPOCH
        rows = [
            [
                epoch - 1,
                begin,
                begin + STEPS_PER_EPOCH,
                0.2,
                2.0 / epoch,
                "first" if epoch == 1 else "steady",
            ]
        ]
        wire.send("slices", rows=rows, step=begin + STEPS_PER_EPOCH, steps_per_s=200.0)
        wire.send("epoch", epoch=epoch, **history(epoch))
        while behaviour == "hang":
            time.sleep(1)
    final = {
        f"{part}_{name}": 0.5 for part in ("train", "val", "test") for name in ("loss", "accuracy")
    }
    names = ("import_s", "build_s", "first_step_s", "train_s", "evaluate_s", "total_s")
    memory = {"peak_bytes": 2**28, "source": "process"}
    wire.send("result", final=final, timing=dict.fromkeys(names, 0.5), memory=memory)
    wire.send("end", status="ok", reason=None)


def work(asked: argparse.Namespace) -> None:
    wire = Wire.from_descriptor(asked.wire)
    Inbox(wire)  # ends this process when the parent is gone
    runtime = asked.probe or json.loads((asked.folder / "job.json").read_text())["runtime"]
    behaviour = json.loads(os.environ.get(VARIABLE, "{}")).get(runtime, "ok")
    for descriptor in (1, 2):
        os.write(descriptor, NOISE.encode() + b"\n")
    if behaviour == "error":
        wire.send("end", status="failed", reason="ImportError: libfake.so: no such file")
    elif asked.probe is None:
        train(wire, runtime, behaviour)
    else:
        device = {"kind": "cpu", "id": "cpu", "name": "fake"}
        wire.send("probed", versions={runtime: "1.2.3"}, devices=[device])
        wire.send("end", status="ok", reason=None)


def drive(arguments: list[str]) -> None:
    from nncompare.cli import main
    from nncompare.launch import train_one

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    train_one.worker_command = command
    sys.argv[1:] = arguments
    main()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--drive"]:
        drive(sys.argv[2:])
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--probe")
    parser.add_argument("--wire", type=int)
    parser.add_argument("--parent", type=int)
    work(parser.parse_args())
    os._exit(0)
