"""Asks one runtime about a formula, in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nncompare.errors import RuntimeFailure, TimedOut
from nncompare.launch.environment import worker_command, worker_environment
from nncompare.launch.process import WorkerProcess
from nncompare.spec.runtimes import CATALOG
from nncompare.wire import derivative_job
from nncompare.wire.connection import Message
from nncompare.wire.derivative_job import Request

TIMEOUT_S = 300.0


@dataclass(kw_only=True)
class Answers:
    """What one worker said, and how it ended.

    Args:
        status: ``ok`` or the word of a ``RuntimeFailure``.
        notes: what is known of this framework's operations in this formula.
        methods: name of the method -> its message ``derived``.
    """

    runtime: str
    status: str = "failed"
    reason: str | None = None
    log: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    methods: dict[str, Message] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        if message["kind"] == "imported":
            self.versions, self.notes = message["versions"], message["notes"]
        elif message["kind"] == "derived":
            self.methods[message["method"]] = message
        elif message["kind"] == "end":
            self.status, self.reason = message["status"], message["reason"]


def derive(request: Request, folder: Path, *, timeout_s: float = TIMEOUT_S) -> Answers:
    """Runs the request in a fresh process on the CPU and always returns, whatever happens to it.

    Args:
        request: what is asked.
        folder: where the job and its log are written.
        timeout_s: for the whole worker.
    """
    answers = Answers(runtime=request.runtime)
    entry = CATALOG[request.runtime]
    reason = entry.missing()
    if reason is None and entry.derivatives is None:
        reason = f"the backend of {request.runtime} differentiates no formulas"
    if reason is not None:
        answers.status, answers.reason = "refused", reason
        return answers
    derivative_job.write(folder, request)
    environment = worker_environment(
        request.runtime, threads=request.threads, device="cpu", deterministic=False, home=folder
    )
    worker = WorkerProcess(
        worker_command("--derive", str(folder)), environment, folder / "worker.log"
    )
    try:
        for message in worker.messages(timeout_s):
            answers.take(message)
    except TimedOut as failure:
        answers.status, answers.reason = failure.status, f"no answer within {timeout_s:g} s"
    except RuntimeFailure as failure:
        answers.status, answers.reason = failure.status, str(failure)
    finally:
        worker.close()
    if answers.status != "ok" or any(
        message["status"] == "failed" for message in answers.methods.values()
    ):
        answers.log = worker.tail()
    return answers
