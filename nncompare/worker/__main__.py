"""``python -m nncompare.worker FOLDER``: runs the job in a folder, or answers what a framework
sees.

With ``--wire N`` the messages go to descriptor N; without it they are printed, so that a job can be
replayed by hand. ``--trials RUNTIME`` serves one trial of a search after the other. ``--check
STEPS`` puts the job through a parity check of so many steps, ``--nudged`` through its training
alone, from weights moved by rounding. ``--probe RUNTIME`` imports the runtime's framework and
reports versions and devices.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nncompare.errors import Failed, OutOfMemory, RuntimeFailure
from nncompare.wire.connection import Inbox, Wire, clean


def die_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when the parent dies, even while it is suspended; elsewhere a
    no-op (the wire notices there).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(75)


def _failure(error: BaseException) -> RuntimeFailure:
    from nncompare.worker.probes import is_out_of_memory

    if isinstance(error, RuntimeFailure):
        return error
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
    return OutOfMemory(text) if is_out_of_memory(error) else Failed(text)


def _guarded(work: Callable[[], None], send: Callable[..., None]) -> int:
    """Runs the work and sends the last word; the traceback goes to the log."""
    try:
        work()
    except BaseException as error:
        failure = _failure(error)
        if failure.status in ("failed", "out of memory"):
            traceback.print_exc()
        send("end", status=failure.status, reason=str(failure))
        return failure.exit_code
    send("end", status="ok", reason=None)
    return 0


def _probe(runtime: str, send: Callable[..., None]) -> None:
    from nncompare.backends.loading import load_backend

    backend = load_backend(runtime)
    send(
        "probed",
        versions=backend.versions(),
        devices=[asdict(device) for device in backend.devices()],
    )


def _train(folder: Path, send: Callable[..., None], permit: Callable[[], bool]) -> None:
    from nncompare.wire.job_folder import read
    from nncompare.worker.training import TrainingRun

    job, data, save = read(folder)
    TrainingRun(job, data, send, permit, folder, save).run()


def _check(folder: Path, steps: int, send: Callable[..., None]) -> None:
    from nncompare.wire.job_folder import read
    from nncompare.worker.observe import check

    job, data, _ = read(folder)
    check(job, data, steps, folder, send)


def _nudge(folder: Path, steps: int, send: Callable[..., None]) -> None:
    from nncompare.wire.job_folder import read
    from nncompare.worker.nudge import nudge

    job, data, _ = read(folder)
    nudge(job, data, steps, folder, send)


def _derive(folder: Path, send: Callable[..., None]) -> None:
    from nncompare.wire.derivative_job import read
    from nncompare.worker.derivatives import answer

    answer(read(folder), send)


def _serve(runtime: str, send: Callable[..., None], inbox: Inbox) -> None:
    from nncompare.worker.trials import TrialServer

    TrialServer(runtime, send, inbox).serve()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nncompare.worker", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--probe", metavar="RUNTIME")
    parser.add_argument("--trials", metavar="RUNTIME")
    parser.add_argument("--check", type=int, metavar="STEPS")
    parser.add_argument("--nudged", action="store_true")
    parser.add_argument("--derive", action="store_true")
    parser.add_argument("--wire", type=int, metavar="N")
    parser.add_argument("--parent", type=int, metavar="PID")
    asked = parser.parse_args(arguments)
    if sum(item is not None for item in (asked.folder, asked.probe, asked.trials)) != 1:
        parser.error("give a job folder, --probe RUNTIME or --trials RUNTIME")
    if asked.trials is not None and asked.wire is None:
        parser.error(
            "--trials needs --wire: the trials come from the parent; one of them is replayed by its"
            " folder"
        )
    send: Callable[..., None]
    permit: Callable[[], bool]
    if asked.wire is None:

        def send(kind: str, **fields: Any) -> None:
            sys.stdout.write(f"{kind}: {clean(fields)}\n")

        def permit() -> bool:
            return True

    else:
        if asked.parent is not None:
            die_with_parent(asked.parent)
        wire = Wire.from_descriptor(asked.wire)
        inbox = Inbox(wire)
        send, permit = wire.send, inbox.permit
        if asked.trials is not None:
            return _guarded(lambda: _serve(asked.trials, send, inbox), send)
    if asked.probe is not None:
        return _guarded(lambda: _probe(asked.probe, send), send)
    if asked.check is not None:
        check = _nudge if asked.nudged else _check
        return _guarded(lambda: check(asked.folder, asked.check, send), send)
    if asked.derive:
        return _guarded(lambda: _derive(asked.folder, send), send)
    return _guarded(lambda: _train(asked.folder, send, permit), send)


if __name__ == "__main__":
    sys.stdout.flush()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown of a framework can hang or crash; everything that matters has been sent.
    os._exit(code)
