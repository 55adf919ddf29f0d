"""One worker process a backend for the whole suite: two frameworks in one process disturb each
other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nncompare.testing.target import Target

TIMEOUT_S = 600
"""For slow machines; a quiet pair of cores needs a minute or two for three backends together."""
LOG_TAIL = 3000
"""Characters of a worker's log that a failed test shows."""

Report = dict[str, dict[str, Any]]
"""Case -> its line of a worker's report, see ``worker.run_case``."""


class Worker:
    """One backend's process.

    Args:
        target: the backend; it must be installed.
        cases: names of the cases to run.
        folder: where the report and the log are written; a folder of its own.
    """

    def __init__(self, target: Target, cases: Sequence[str], folder: Path):
        # through files: what a framework prints, and when it crashes, must not reach the report
        self._report = folder / "report.jsonl"
        self._log = folder / "log.txt"
        command = [sys.executable, "-m", "nncompare.testing.worker", target.name]
        command += ["--report", str(self._report), "--cases", *cases]
        environment = {
            **os.environ,
            **target.environment,
            "OMP_NUM_THREADS": "1",
            # a framework's temporary files go with the folder
            **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder)),
            # the worker finds what this process finds, whatever put it onto the path
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def report(self) -> Report:
        """The report, when the worker has ended; what is there when its time is over."""
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.close()
        if not self._report.exists():
            # it did not come to its first case
            return {}
        lines = [json.loads(line) for line in self._report.read_text().splitlines()]
        return {line["case"]: line for line in lines}

    def log(self) -> str:
        """The end of what the worker printed."""
        return self._log.read_text(errors="replace")[-LOG_TAIL:]

    def close(self) -> None:
        """Ends the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Suite:
    """The workers of all backends under test, started at once, since each waits for its imports.

    Args:
        folder: an empty folder to work in.
        targets: the backends; one that is not installed gets no worker.
        cases: names of the cases to run.
    """

    def __init__(self, folder: Path, targets: Iterable[Target], cases: Sequence[str]):
        self._workers: dict[str, Worker] = {}
        self._reports: dict[str, Report] = {}
        for number, target in enumerate(targets):
            if target.missing is None:
                own = folder / str(number)
                own.mkdir()
                self._workers[target.name] = Worker(target, cases, own)

    def report(self, name: str) -> Report:
        """The report of the target of this name; the first call waits for its worker."""
        if name not in self._reports:
            self._reports[name] = self._workers[name].report()
        return self._reports[name]

    def log(self, name: str) -> str:
        """The end of what the worker of the target of this name printed."""
        return self._workers[name].log()

    def close(self) -> None:
        """Ends every worker that still runs."""
        for worker in self._workers.values():
            worker.close()
