"""Runs one worker to its end, whatever happens to it: the one way for every kind of job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nncompare.errors import Interrupted, RuntimeFailure
from nncompare.launch.environment import environment_for, worker_command
from nncompare.launch.process import WorkerProcess
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
    """Writes the job folder and starts a process on it; its output goes to a log there."""
    job_folder.write(folder, request)
    return WorkerProcess(
        worker_command(str(folder)), environment_for(request, folder), folder / job_folder.LOG_FILE
    )


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
        for message in worker.messages(timeout_s, setting=timeout_setting):
            outcome.take(message)
            if listener is not None:
                listener.message(label or request.runtime, message)
    # one runtime that fails leaves the others their turn
    except RuntimeFailure as failure:
        outcome.status = failure.status
        outcome.reason = str(failure)
    except KeyboardInterrupt:
        # a check without its answer is of no use to anybody
        if not keep_interrupted:
            raise
        outcome.status = Interrupted.status
        outcome.reason = "stopped by the user"
    finally:
        if worker is not None:
            worker.close()
    # read after its end, when everything is written
    if worker is not None and outcome.status in _LOG_TELLS_MORE:
        outcome.log = worker.tail()
    return outcome
