"""A worker that trains many trials, and waiting for several of them at once. The parent blocks, it
never polls.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path

from nncompare.launch.environment import environment_for, worker_command
from nncompare.launch.process import WorkerProcess
from nncompare.spec.experiment import DeviceName
from nncompare.wire import job_folder
from nncompare.wire.messages import Answer, BeginTrial, Imported, Quit, TrialEnd, WorkerWord
from nncompare.wire.requests import ServeTrialsRequest, TrialRequest

QUIT_S = 2.0
"""A worker that was asked to leave gets this long, then it is ended."""
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
        request = ServeTrialsRequest(runtime=runtime, threads=threads, device=device)
        # one folder a worker: its log's name tells them apart
        folder = home / "workers" / log.stem
        job_folder.write(folder, request)
        environment = environment_for(request, home, folder / job_folder.TEMPORARY_FOLDER)
        self.process = WorkerProcess(worker_command(str(folder)), environment, log)
        self.process.go()
        self.imported: Imported | None = None
        self._settled = 0
        self._trials = 0
        self.full = False
        """It holds much more than after its first trials: a framework has not given back everything
        (Keras keeps about 1.5 MB of every model, TensorFlow half a megabyte of every new shape),
        and a fresh process is the only cure.
        """

    def begin(self, folder: Path, request: TrialRequest) -> None:
        """Writes the trial's job folder and has it trained."""
        job_folder.write(folder, request)
        self.process.send(BeginTrial(folder=str(folder)))

    def answer(self, *, stop: bool) -> None:
        """After an ``epoch`` of a judged trial: whether it stops there."""
        self.process.send(Answer(stop=stop))

    def receive(self) -> WorkerWord:
        """The next message.

        Raises:
            Failed, OutOfMemory: the process died, or said what nobody understands.
        """
        message = self.process.receive()
        if isinstance(message, Imported):
            self.imported = message
        elif isinstance(message, TrialEnd):
            self._weigh(message.resident_bytes)
        return message

    def _weigh(self, resident_bytes: int) -> None:
        """Whether the process has grown too much since its first trials."""
        self._trials += 1
        # The allocator still takes what it will keep.
        if self._trials <= SETTLING:
            self._settled = max(self._settled, resident_bytes)
        allowed = max(GROWTH_BYTES, GROWTH_SHARE * self._settled)
        self.full = resident_bytes - self._settled > allowed

    def close(self, *, politely: bool = False) -> None:
        """Ends the process; ``politely``: it has nothing to do and is asked to leave."""
        # A worker in the midst of a trial would not listen.
        if politely:
            self.process.send(Quit())
            # what it says on its way out is read, so that it does not block on a full wire
            deadline = time.monotonic() + QUIT_S
            while self.process.process.poll() is None and wait(
                [self.process.connection], deadline - time.monotonic()
            ):
                try:
                    self.process.receive()
                except Exception:
                    break  # gone, as it was asked
        self.process.close()


def ready(workers: Sequence[TrialWorker], timeout_s: float) -> list[TrialWorker]:
    """Those who have something to say; empty when ``timeout_s`` has passed."""
    heard = wait([worker.process.connection for worker in workers], timeout_s)
    return [worker for worker in workers if worker.process.connection in heard]
