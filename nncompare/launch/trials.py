"""A worker that trains many trials, and waiting for several of them at once. The parent blocks, it
never polls.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from nncompare.launch.environment import worker_command, worker_environment
from nncompare.launch.process import WorkerProcess
from nncompare.spec.experiment import DeviceName
from nncompare.wire.connection import Message

QUIT_S = 2.0
GROWTH_BYTES = 96 * 2**20
GROWTH_SHARE = 0.1
"""By how much a worker may grow before it is replaced; the larger of the two."""
SETTLING = 2
"""Trials until a worker's size is taken for the one to grow from: a framework's allocator keeps
what the second one needed beside the first one's remains (150 MB with MNIST in TensorFlow), once
and for all.
"""


class TrialWorker:
    """One process of one runtime (``worker.trials`` is its other side).

    Args:
        runtime: a name of the catalog.
        threads: CPU threads of the framework.
        device: asked for.
        home: a folder for what frameworks write to the user's home.
        log: takes stdout and stderr.
    """

    def __init__(self, runtime: str, *, threads: int, device: DeviceName, home: Path, log: Path):
        environment = worker_environment(
            runtime, threads=threads, device=device, deterministic=False, home=home
        )
        self.process = WorkerProcess(worker_command("--trials", runtime), environment, log)
        self.process.go()
        self.imported: Message | None = None
        self._settled, self._trials = 0, 0
        self.full = False
        """It holds much more than after its first trials: a framework has not given back everything
        (Keras keeps about 1.5 MB of every model, TensorFlow half a megabyte of every new shape),
        and a fresh process is the only cure.
        """

    @property
    def connection(self) -> Connection[Any, Any]:
        return self.process.connection

    def begin(self, folder: Path, *, judged: bool, parts: Sequence[str]) -> None:
        """Trains the job in a folder.

        Args:
            judged: the worker waits for ``answer`` after every epoch but the last.
            parts: of the data that are evaluated at the end.
        """
        self.process.send("trial", folder=str(folder), judged=judged, parts=list(parts))

    def answer(self, *, stop: bool) -> None:
        self.process.send("answer", stop=stop)

    def receive(self) -> Message:
        """The next message.

        Raises:
            Failed, OutOfMemory: the process died.
        """
        message = self.process.receive()
        if message["kind"] == "imported":
            self.imported = message
        elif message["kind"] == "trial_end":
            held = message["resident_bytes"]
            self._trials += 1
            if self._trials <= SETTLING:
                self._settled = max(self._settled, held)
            self.full = held - self._settled > max(GROWTH_BYTES, GROWTH_SHARE * self._settled)
        return message

    def close(self, *, politely: bool = False) -> None:
        """Ends the process; ``politely``: it has nothing to do and is asked to leave."""
        if politely:
            self.process.send("quit")
            deadline = time.monotonic() + QUIT_S
            while self.process.process.poll() is None and wait(
                [self.connection], deadline - time.monotonic()
            ):
                try:
                    self.process.receive()
                except Exception:
                    break  # gone, as it was asked
        self.process.close()


def ready(workers: Sequence[TrialWorker], timeout_s: float | None) -> list[TrialWorker]:
    """Those who have something to say; empty when ``timeout_s`` has passed."""
    heard = wait([worker.connection for worker in workers], timeout_s)
    return [worker for worker in workers if worker.connection in heard]
