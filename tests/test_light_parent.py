"""The parent's side stays light: no framework, no scikit-learn, no SciPy for help, validate, show
and list.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax"}
HEAVY = FRAMEWORKS | {"sklearn", "scipy", "pooch", "pandas"}
PROBE = """
import json, sys
from nncompare.cli import call
code = call(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""
CONFIG = "data: {name: digits}\nmodel: {family: mlp}\n"


def modules_after(folder: Path, *arguments: str) -> set[str]:
    """Top-level modules in a fresh process after a command that must succeed."""
    (folder / "light.yaml").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-c", PROBE, *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(names)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["validate", "light.yaml"],
        ["show", "light.yaml"],
        ["show", "light.yaml", "--json"],
        ["list"],
        ["schema"],
        ["init", "fresh"],
    ],
    ids=" ".join,
)
def test_no_framework_and_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    names = modules_after(tmp_path, *arguments)
    assert names & HEAVY == set()
    assert "nncompare" in names


def test_a_dry_run_imports_no_framework(tmp_path: Path) -> None:
    assert modules_after(tmp_path, "run", "light.yaml", "--dry-run") & FRAMEWORKS == set()


def test_help_needs_neither_pydantic_nor_numpy(tmp_path: Path) -> None:
    assert modules_after(tmp_path, "--help") & {"pydantic", "numpy", "ruamel"} == set()


def test_the_probe_sees_what_is_imported(tmp_path: Path) -> None:
    assert {"pydantic", "numpy", "ruamel"} <= modules_after(tmp_path, "validate", "light.yaml")


def test_python_m_nncompare(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nncompare", "--version"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("nncompare ")
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nncompare", "schema"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141
