"""Runs the workers, and judges every error next to the other backends as they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from nncompare.launch.environment import worker_environment
from nncompare.studies.verify import judge
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.findings import explain
from nncompare.studies.verify.record import ParityFinding
from nncompare.wire import declaration
from nncompare.wire.observation import Observation, read
from tests.mutations.catalog import chosen
from tests.mutations.experiments import STEPS, parity
from tests.mutations.mutation import Mutation
from tests.mutations.worker import ERROR_FILE, unbroken

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = ("torch", "tensorflow", "keras")
TIMEOUT_S = 600  # for slow machines; two quiet cores need about a minute for everything


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of one check: what failed, where, and what the backend raised."""

    failed: list[Check]
    findings: list[ParityFinding]
    error: str | None = None


@lru_cache(maxsize=64)
def _read(folder: Path) -> Observation:
    return read(folder)


class Laboratory:
    """The workers, started at once, and their observations.

    Args:
        folder: for their output.
        only: errors whose name contains one of these; none: all.
    """

    def __init__(self, folder: Path, only: Sequence[str] = ()):
        self.folder, self.only = folder, list(only)
        self._formulas: dict[tuple[str, ...], list[Check]] = {}
        self.workers = {backend: self._start(backend) for backend in BACKENDS}

    @property
    def mutations(self) -> list[Mutation]:
        return chosen(self.only)

    def _start(self, backend: str) -> subprocess.Popen[bytes]:
        environment = worker_environment(
            backend,
            threads=1,
            device="cpu",
            deterministic=True,
            home=self.folder,
            temporary=self.folder,
        )
        command = [
            sys.executable,
            "-m",
            "tests.mutations.worker",
            backend,
            str(self.folder),
            "--only",
            *self.only,
        ]
        with (self.folder / f"{backend}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    @cached_property
    def done(self) -> bool:
        """Waits for all workers.

        Raises:
            AssertionError: one has not ended well; with the end of its log.
        """
        for backend, worker in self.workers.items():
            try:
                worker.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            log = (self.folder / f"{backend}.log").read_text(errors="replace")
            assert worker.returncode == 0, (
                f"{backend} ended with {worker.returncode}:\n{log[-3000:]}"
            )
        return True

    def close(self) -> None:
        for worker in self.workers.values():
            if worker.poll() is None:
                worker.kill()
                worker.wait()

    def unbroken(self, experiment: str, dtype: str) -> Verdict:
        return self._judged(experiment, {}, dtype)

    def unbroken_natively(self, experiment: str, backend: str) -> Verdict:
        """One backend as it ships, by what it declares."""
        return self._judged_natively(experiment, backend, unbroken(experiment, "native"))

    def broken(self, mutation: Mutation) -> Verdict:
        if mutation.convention == "native":
            return self._judged_natively(mutation.experiment, mutation.backend, mutation.id)
        return self._judged(mutation.experiment, {mutation.backend: mutation.id}, mutation.dtype)

    def _judged_natively(self, experiment: str, backend: str, name: str) -> Verdict:
        """As ``studies.verify.native`` does it: nothing but the declaration is the judge."""
        assert self.done
        folder = self.folder / backend / name / "float64"
        if (folder / ERROR_FILE).exists():
            return Verdict(failed=[], findings=[], error=(folder / ERROR_FILE).read_text())
        check = parity(experiment)
        job, semantics = declaration.read(folder, check.job(backend, "float64", "native"))
        context = Context(job, check.contexts["float64"].data, STEPS, semantics)
        observation = _read(folder)
        checks = judge.by_formula(context, backend, observation)
        failed = [check for check in checks if not check.passed]
        return Verdict(failed=failed, findings=explain(context, {backend: observation}, failed))

    def _by_formula(self, experiment: str, dtype: str, backend: str, name: str) -> list[Check]:
        """Judged once: the unbroken backends stand beside every broken one."""
        key = (experiment, dtype, backend, name)
        if key not in self._formulas:
            seen = _read(self.folder / backend / name / dtype)
            self._formulas[key] = judge.by_formula(
                parity(experiment).contexts[dtype], backend, seen
            )
        return self._formulas[key]

    def _judged(self, experiment: str, broken: dict[str, str], dtype: str) -> Verdict:
        assert self.done
        seen: dict[str, dict[str, Observation]] = {}
        for kind in dict.fromkeys(("float64", dtype)):
            seen[kind] = {}
            for backend in BACKENDS:
                folder = self.folder / backend / broken.get(backend, unbroken(experiment)) / kind
                if (folder / ERROR_FILE).exists():
                    return Verdict(failed=[], findings=[], error=(folder / ERROR_FILE).read_text())
                seen[kind][backend] = _read(folder)
        context = parity(experiment).contexts[dtype]
        checks = [
            check
            for backend in BACKENDS
            for check in self._by_formula(
                experiment, dtype, backend, broken.get(backend, unbroken(experiment))
            )
        ]
        if dtype == "float32":
            checks += judge.between_float32(context, seen[dtype], seen["float64"])
        else:
            checks += judge.between(context, seen[dtype])[0]
        findings = explain(context, seen[dtype], checks)
        return Verdict(failed=[check for check in checks if not check.passed], findings=findings)
