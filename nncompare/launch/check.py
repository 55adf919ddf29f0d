"""Runs the workers of a parity check, a few at a time: nothing is timed, so they need not wait for
each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from nncompare.errors import RuntimeFailure
from nncompare.launch.environment import worker_command, worker_environment
from nncompare.launch.process import WorkerProcess
from nncompare.launch.train_one import Listener, Outcome
from nncompare.spec.job import Job
from nncompare.wire import job_folder as jobs


@dataclass(frozen=True, kw_only=True)
class CheckTask:
    """One worker's part.

    Args:
        job: what it checks; its dtype tells the two tasks of a runtime apart.
        folder: of the job, of its log and of its observation.
        data: folder of the prepared examples.
        steps: of the trajectory.
        nudged: only the trajectory, from weights moved by rounding (``worker.nudge``).
    """

    job: Job
    folder: Path
    data: Path
    steps: int
    nudged: bool = False

    @property
    def label(self) -> str:
        return f"{self.job.runtime} {'nudged' if self.nudged else self.job.dtype.name}"


@dataclass
class _Crew:
    """The workers that run; ``dismissed`` ones are not replaced."""

    workers: list[WorkerProcess] = field(default_factory=list)
    dismissed: bool = False
    lock: Lock = field(default_factory=Lock)

    def hire(self, task: CheckTask) -> WorkerProcess | None:
        environment = worker_environment(
            task.job.runtime,
            threads=task.job.threads,
            device=task.job.device,
            deterministic=True,
            home=task.folder,
        )
        nudged = ["--nudged"] if task.nudged else []
        command = worker_command(str(task.folder), "--check", str(task.steps), *nudged)
        with self.lock:
            if self.dismissed:
                return None
            worker = WorkerProcess(command, environment, task.folder / "worker.log")
            self.workers.append(worker)
            return worker

    def dismiss(self) -> None:
        with self.lock:
            self.dismissed = True
            workers = list(self.workers)
        for worker in workers:
            with suppress(OSError):
                worker.kill()


def check_all(
    tasks: Sequence[CheckTask], *, parallel: int, timeout_s: float, listener: Listener
) -> Iterator[tuple[CheckTask, Outcome]]:
    """Every task with its outcome, as they end. Leaving the loop early, or Ctrl-C, ends the
    workers.

    Args:
        tasks: started in this order.
        parallel: workers at a time.
        timeout_s: of each worker.
        listener: told of every message, from several threads, under the task's ``label``.
    """
    crew = _Crew()
    for task in tasks:
        jobs.write(task.folder, task.job, data=task.data)
    # the threads outlive their workers: Linux ends a worker together with the thread that started
    # it
    with ThreadPoolExecutor(max_workers=max(1, parallel)) as pool:
        futures = {pool.submit(_run, crew, task, timeout_s, listener): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            crew.dismiss()


def _run(crew: _Crew, task: CheckTask, timeout_s: float, listener: Listener) -> Outcome:
    outcome = Outcome(runtime=task.job.runtime)
    worker = crew.hire(task)
    if worker is None:
        outcome.status, outcome.reason = "interrupted", "stopped by the user"
        return outcome
    try:
        worker.go()
        for message in worker.messages(timeout_s):
            outcome.take(message)
            listener.message(task.label, message)
    except RuntimeFailure as failure:
        outcome.status, outcome.reason = failure.status, str(failure)
    finally:
        worker.close()
    if outcome.status in ("failed", "out of memory", "timed out"):
        outcome.log = worker.tail()
    return outcome
