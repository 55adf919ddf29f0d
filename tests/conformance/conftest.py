"""One worker process a backend for the whole suite, started at the first test that needs it, all at
once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nncompare.spec.runtimes import CATALOG

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = ("torch", "tensorflow", "keras")
# for slow machines; a quiet pair of cores needs a minute or two for all backends together
TIMEOUT_S = 600


class Suite:
    """The running workers and their reports."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.workers = {
            name: self._start(name) for name in BACKENDS if CATALOG[name].missing() is None
        }
        self.reports: dict[str, dict[str, dict[str, Any]]] = {}

    def report(self, backend: str) -> dict[str, dict[str, Any]]:
        """Case -> line of the report (see ``worker.run_case``). Waits for the worker."""
        if backend not in self.reports:
            try:
                self.workers[backend].wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.workers[backend].kill()
                self.workers[backend].wait()
            report = self.folder / f"{backend}.jsonl"
            lines = (
                [json.loads(line) for line in report.read_text().splitlines()]
                if report.exists()
                else []
            )
            self.reports[backend] = {line["case"]: line for line in lines}
        return self.reports[backend]

    def log(self, backend: str) -> str:
        return (self.folder / f"{backend}.log").read_text(errors="replace")[-3000:]

    def close(self) -> None:
        for worker in self.workers.values():
            if worker.poll() is None:
                worker.kill()
                worker.wait()

    def _start(self, backend: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            **CATALOG[backend].environment,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "tests.conformance.worker", backend]
        command += ["--report", str(self.folder / f"{backend}.jsonl")]
        with (self.folder / f"{backend}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    running = Suite(tmp_path_factory.mktemp("conformance"))
    yield running
    running.close()
