"""Runs the workers of a parity check, a few at a time: nothing is timed, so they need not wait for
each other.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from nncompare.errors import Interrupted
from nncompare.launch.process import WorkerProcess
from nncompare.launch.run_worker import Listener, run_worker, start_worker
from nncompare.spec.job import Job
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import CheckRequest, PerturbedRequest, Request


@dataclass(frozen=True, kw_only=True)
class CheckTask:
    """One worker's part.

    Args:
        job: what it checks; its dtype tells the two tasks of a runtime apart.
        folder: of the job, of its log and of its observation.
        data: folder of the prepared examples.
        steps: of the trajectory.
        perturbed: only the trajectory, from weights that are moved by rounding.
    """

    job: Job
    folder: Path
    data: Path
    steps: int
    perturbed: bool = False

    @property
    def label(self) -> str:
        """``torch float64``: what the progress display calls it."""
        return f"{self.job.runtime} {'perturbed' if self.perturbed else self.job.dtype.name}"

    @property
    def request(self) -> CheckRequest | PerturbedRequest:
        """What its worker is asked."""
        # the two are answered by different code in the worker, with the same data
        kind = PerturbedRequest if self.perturbed else CheckRequest
        return kind(job=self.job, data=self.data, steps=self.steps)


@dataclass
class _Crew:
    """The workers that run; ``dismissed`` ones are not replaced."""

    workers: list[WorkerProcess] = field(default_factory=list)
    dismissed: bool = False
    lock: Lock = field(default_factory=Lock)

    def hire(self, request: Request, folder: Path) -> WorkerProcess:
        """Starts a worker.

        Raises:
            Interrupted: the crew has been dismissed.
        """
        # under the lock, so that no worker is started after the others have been killed
        with self.lock:
            if self.dismissed:
                raise Interrupted("stopped by the user")
            worker = start_worker(request, folder)
            self.workers.append(worker)
            return worker

    def dismiss(self) -> None:
        """Kills every worker that still runs."""
        with self.lock:
            self.dismissed = True
            workers = list(self.workers)
        for worker in workers:
            # a worker may have ended in between
            with suppress(OSError):
                worker.kill()


def check_all(
    tasks: Sequence[CheckTask], *, parallel: int, timeout_s: float, listener: Listener
) -> Generator[tuple[CheckTask, Outcome], None, None]:
    """Every task with its outcome, as they end. Closing it, or Ctrl-C, ends the workers.

    Args:
        tasks: started in this order.
        parallel: workers at a time.
        timeout_s: of each worker.
        listener: told of every message, from several threads, under the task's ``label``.
    """
    crew = _Crew()

    def run(task: CheckTask) -> Outcome:
        return run_worker(
            task.request,
            task.folder,
            timeout_s=timeout_s,
            timeout_setting="measure.timeout_s",
            listener=listener,
            label=task.label,
            start=crew.hire,
        )

    # the threads outlive their workers: Linux ends a worker together with the thread that started
    # it
    with ThreadPoolExecutor(max_workers=max(1, parallel)) as pool:
        futures = {pool.submit(run, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            crew.dismiss()
