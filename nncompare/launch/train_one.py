"""Runs one worker to its end and gathers what it said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nncompare.errors import RuntimeFailure
from nncompare.launch.environment import worker_command, worker_environment
from nncompare.launch.process import WorkerProcess
from nncompare.spec.job import Job
from nncompare.spec.runtimes import CATALOG
from nncompare.wire.connection import Message

PROBE_TIMEOUT_S = 120.0


class Listener(Protocol):
    """Who wants to know how a run goes (the progress display)."""

    def message(self, runtime: str, message: Message) -> None: ...


@dataclass(kw_only=True)
class Outcome:
    """What one worker said, and how it ended.

    Args:
        status: ``ok`` or the word of a ``RuntimeFailure``.
        slices: raw samples ``[epoch, begin, end, seconds, loss, phase]``.
    """

    runtime: str
    status: str = "failed"
    reason: str | None = None
    log: str | None = None
    imported: Message = field(default_factory=dict)
    built: Message = field(default_factory=dict)
    history: list[Message] = field(default_factory=list)
    slices: list[list[Any]] = field(default_factory=list)
    result: Message = field(default_factory=dict)
    parity: Message = field(default_factory=dict)

    def take(self, message: Message) -> None:
        kind = message["kind"]
        body = {name: value for name, value in message.items() if name != "kind"}
        if kind in ("imported", "built", "result", "parity"):
            setattr(self, kind, body)
        elif kind == "epoch":
            self.history.append(body)
        elif kind == "slices":
            self.slices += body["rows"]
        elif kind == "end":
            self.status, self.reason = body["status"], body["reason"]


def train(job: Job, folder: Path, *, log: Path, timeout_s: float, listener: Listener) -> Outcome:
    """Runs the job that lies in ``folder`` in a fresh process and always returns, whatever happens
    to it.

    Ctrl-C ends the worker and gives an outcome ``interrupted`` with what it said until then.
    """
    environment = worker_environment(
        job.runtime,
        threads=job.threads,
        device=job.device,
        deterministic=job.deterministic,
        home=folder,
    )
    outcome = Outcome(runtime=job.runtime)
    worker = WorkerProcess(worker_command(str(folder)), environment, log)
    try:
        worker.go()
        for message in worker.messages(timeout_s):
            outcome.take(message)
            listener.message(job.runtime, message)
    except RuntimeFailure as failure:
        outcome.status, outcome.reason = failure.status, str(failure)
    except KeyboardInterrupt:
        outcome.status, outcome.reason = "interrupted", "stopped by the user"
    finally:
        worker.close()
    if outcome.status in ("failed", "out of memory", "timed out"):
        outcome.log = worker.tail()
    return outcome


def probe(runtime: str, folder: Path, *, threads: int = 1) -> Outcome:
    """Asks the runtime's framework, in a process of its own, for versions and devices
    (``outcome.result``).
    """
    environment = worker_environment(
        runtime, threads=threads, device="auto", deterministic=False, home=folder
    )
    outcome = Outcome(runtime=runtime)
    missing = CATALOG[runtime].missing()
    if missing is not None:
        outcome.status, outcome.reason = "refused", missing
        return outcome
    worker = WorkerProcess(
        worker_command("--probe", runtime), environment, folder / f"{runtime}.log"
    )
    try:
        for message in worker.messages(PROBE_TIMEOUT_S):
            if message["kind"] == "probed":
                outcome.result = message
            outcome.take(message)
    except RuntimeFailure as failure:
        outcome.status, outcome.reason = failure.status, str(failure)
    finally:
        worker.close()
    if outcome.status != "ok":
        outcome.log = worker.tail()
    return outcome
