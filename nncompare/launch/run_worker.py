"""Runs one worker to its end, whatever happens to it: the one way for every kind of job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from nncompare.errors import Failed, Interrupted, RuntimeFailure, StoreError
from nncompare.launch.environment import environment_for, worker_command
from nncompare.launch.process import WorkerProcess
from nncompare.launch.scratch import TEMPORARY
from nncompare.records.atomic import explained
from nncompare.spec.runtimes import CATALOG
from nncompare.wire import job_folder
from nncompare.wire.messages import WorkerWord
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import Request

_LOG_TELLS_MORE = ("failed", "out of memory", "timed out")
"""Ends whose reason may stand in what the framework printed."""


class Listener(Protocol):
    """Who wants to know how a worker goes (the progress display)."""

    def message(self, runtime: str, message: WorkerWord) -> None:
        """A worker has said something; ``runtime`` is its name, or the label of a check's task."""


def start_worker(request: Request, folder: Path) -> WorkerProcess:
    """Writes the job folder and starts a process on it; its output goes to a log there.

    Raises:
        StoreError: there is no room for the folder.
        Failed: the system starts no process.
    """
    with explained(folder, option=TEMPORARY):
        job_folder.write(folder, request)
        log = folder / job_folder.LOG_FILE
        log.touch()
    environment = environment_for(request, folder, folder / job_folder.TEMPORARY_FOLDER)
    try:
        return WorkerProcess(worker_command(str(folder)), environment, log)
    except OSError as error:
        raise Failed(f"its process cannot be started: {error.strerror or error}") from error


def run_worker(
    request: Request,
    folder: Path,
    *,
    timeout_s: float,
    timeout_setting: str | None = None,
    listener: Listener | None = None,
    label: str | None = None,
    keep_interrupted: bool = False,
    start: Callable[[Request, Path], WorkerProcess] = start_worker,
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Outcome:
    """Runs a request in a fresh process and returns what came of it, well or not.

    Args:
        request: what is asked.
        folder: where the job is written, its log and what it leaves.
        timeout_s: for the whole worker.
        timeout_setting: the key of the experiment that sets it, for the message.
        listener: told of every message.
        label: under which name; None: the runtime's.
        keep_interrupted: Ctrl-C ends the worker and gives an outcome ``interrupted`` with what it
            said until then; else it goes on to the caller.
        start: starts the process; raises ``Interrupted`` where none is to be started any more.
        interruptible: around the time in which Ctrl-C may come, for who holds it else: neither a
            process that has just been started is lost then, nor what the last one has said.
    """
    missing = CATALOG[request.runtime].missing()
    # found without an import, so that a missing framework costs no time
    if missing is not None:
        return Outcome(runtime=request.runtime, status="refused", reason=missing)
    outcome = Outcome(runtime=request.runtime)
    worker: WorkerProcess | None = None
    try:
        worker = start(request, folder)
        # a worker waits for this before its first slice
        worker.go()
        with interruptible():
            for message in worker.messages(timeout_s, setting=timeout_setting):
                outcome.take(message)
                if listener is not None:
                    listener.message(label or request.runtime, message)
    # one runtime that fails leaves the others their turn
    except RuntimeFailure as failure:
        outcome.status = failure.status
        outcome.reason = str(failure)
    # the folder has no room for the job
    except StoreError as problem:
        outcome.reason = str(problem)
    except KeyboardInterrupt:
        # a check without its answer is of no use to anybody
        if not keep_interrupted:
            raise
        if outcome.result is None:
            outcome.status = Interrupted.status
            outcome.reason = "stopped by the user"
        # the figures of a training that has ended are all there, whatever it still had to do
        elif outcome.reason is None:
            outcome.status = "ok"
    finally:
        if worker is not None:
            worker.close()
    # read after its end, when everything is written
    if worker is not None and outcome.status in _LOG_TELLS_MORE:
        outcome.log = worker.tail()
    return outcome
