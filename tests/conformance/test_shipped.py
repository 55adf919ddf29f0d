"""The suite as a third party runs it: from another folder, on a backend of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nncompare.errors import UsageError
from nncompare.spec.runtimes import CATALOG
from nncompare.testing.target import find_target, plain_runtimes
from tests.running import ROOT

THIRD_PARTY = """
from nncompare.testing.numpy_backend import NumpyBackend, NumpySession

class Doubled(NumpySession):
    def update(self, gradients, rate):
        return super().update(gradients, 2 * rate)

class Partial(NumpyBackend):
    def why_not(self, job):
        return "no convolutions here"

class AlignedOnly(NumpyBackend):
    def why_not(self, job):
        return "nothing of its own" if job.native else None

RIGHT = NumpyBackend()
PARTIAL = Partial()
ALIGNED_ONLY = AlignedOnly()
WRONG = NumpyBackend(Doubled)
"""


def run_suite(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest in ``folder`` on the shipped suite, without any setting of this repository."""
    (folder / "mybackend.py").write_text(THIRD_PARTY, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "nncompare.testing.plugin", "-q"]
    command += ["--pyargs", "nncompare.testing", "--strict-markers", *arguments]
    # this tree and not an installed one
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_right_backend_passes_and_a_wrong_one_fails(tmp_path: Path) -> None:
    chosen = ("--backend", "mybackend:RIGHT", "--backend", "mybackend:WRONG")
    done = run_suite(tmp_path, *chosen, "-k", "penalty/l1")
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    # in both conventions
    assert len(failed) == 2, done.stdout
    assert "[mybackend:WRONG-penalty/l1-update]" in failed[0]
    assert "[mybackend:WRONG-native/penalty/l1-update]" in failed[1]
    assert "tolerance 1e-11" in done.stdout


def test_what_a_backend_refuses_is_skipped_with_its_reason(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "--backend", "mybackend:PARTIAL", "-k", "penalty/l1", "-rs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no convolutions here" in done.stdout
    assert "passed" not in done.stdout


def test_a_backend_without_a_native_form_is_skipped_there(tmp_path: Path) -> None:
    chosen = ("--backend", "mybackend:ALIGNED_ONLY", "-k", "penalty/l1", "-rs")
    done = run_suite(tmp_path, *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing of its own" in done.stdout
    passed, skipped = re.findall(r"(\d+) passed, (\d+) skipped", done.stdout)[0]
    assert passed == skipped


def test_a_refusal_of_an_own_backend_fails() -> None:
    assert find_target("torch").is_own
    assert not find_target("mypackage.numeric:THING").is_own


def test_a_backend_that_cannot_be_imported_fails_with_its_log(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "--backend", "mybackend:ABSENT", "-k", "penalty/l1 and update")
    assert done.returncode == 1
    assert "has no attribute 'ABSENT'" in done.stdout


def test_without_the_option_every_installed_framework_is_judged(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "--collect-only", "-k", "layer/dense and outputs")
    assert done.returncode == 0, done.stdout
    assert [
        name for name in plain_runtimes() if f"[{name}-layer/dense-outputs]" in done.stdout
    ] == [name for name in CATALOG if ":" not in name]


def test_a_target_is_a_runtime_or_an_object_in_a_module() -> None:
    own = find_target("mypackage.numeric:THING")
    assert (own.runtime, own.module, own.attribute) == ("numeric", "mypackage.numeric", "THING")
    assert own.environment == {}
    for name in ("keras", "keras:xla"):
        target = find_target(name)
        assert (target.runtime, target.environment) == (name, CATALOG[name].environment)
    named = find_target("nncompare.backends.keras:BACKEND")
    assert (named.runtime, named.environment) == ("keras", CATALOG["keras"].environment)


@pytest.mark.parametrize("name", ["nonsense", "torch:nonsense mode", "my-package:BACKEND", ":X"])
def test_anything_else_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="neither a runtime"):
        find_target(name)


def test_the_option_is_added_only_where_the_suite_is_asked_for(tmp_path: Path) -> None:
    """Another project that has nncompare installed may have an option of the same name."""
    (tmp_path / "test_other.py").write_text("def test_nothing(): pass\n")
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--backend', default='own')\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "nncompare.testing.plugin", "-q"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--backend", "theirs"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
