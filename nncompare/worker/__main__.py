"""``python -m nncompare.worker FOLDER``: runs the job in a folder, or answers what a framework sees.

With ``--wire N`` the messages go to descriptor N; without it they are printed, so that a job can be replayed by
hand. ``--probe RUNTIME`` imports the runtime's framework and reports versions and devices.
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
from nncompare.worker.wire import Inbox, Wire, clean


def die_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when the parent dies, even while it is suspended; elsewhere a no-op (the wire
    notices there)."""
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
    from nncompare.worker.training import load_backend

    backend = load_backend(runtime)
    send("probed", versions=backend.versions(), devices=[asdict(device) for device in backend.devices()])


def _train(folder: Path, send: Callable[..., None], permit: Callable[[], bool]) -> None:
    from nncompare.worker.jobs import read
    from nncompare.worker.training import TrainingRun

    job, data, save = read(folder)
    TrainingRun(job, data, send, permit, folder, save).run()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nncompare.worker", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--probe", metavar="RUNTIME")
    parser.add_argument("--wire", type=int, metavar="N")
    parser.add_argument("--parent", type=int, metavar="PID")
    asked = parser.parse_args(arguments)
    if (asked.folder is None) == (asked.probe is None):
        parser.error("give a job folder or --probe RUNTIME")
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
        send, permit = wire.send, Inbox(wire).permit
    if asked.probe is not None:
        return _guarded(lambda: _probe(asked.probe, send), send)
    return _guarded(lambda: _train(asked.folder, send, permit), send)


if __name__ == "__main__":
    sys.stdout.flush()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown of a framework can hang or crash; everything that matters has been sent.
    os._exit(code)
