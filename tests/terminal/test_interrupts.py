"""Ctrl-C while Python still imports: exit code 130 and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT

INSTANTS = (
    "nncompare.cli",
    "typer.core",
    "nncompare.cli.show",
    "nncompare.config.load",
    "pydantic",
    "numpy",
)
"""Modules at whose import Ctrl-C is pressed, from the first to the last ones of a command."""
DRIVER = """\
import os, signal, sys

class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == NAME:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.meta_path.insert(0, Presses())
from nncompare.__main__ import main
main()
"""


def test_ctrl_c_during_the_imports(tiny: Path) -> None:
    started = {}
    for name in INSTANTS:
        driver = DRIVER.replace("NAME", repr(name))
        started[name] = subprocess.Popen(
            [sys.executable, "-c", driver, "show", "tiny.yaml"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=tiny,
            text=True,
        )
    for name, process in started.items():
        out, err = process.communicate(timeout=60)
        assert (name, process.returncode, out, err) == (name, 130, "", "interrupted\n")


def test_signals_after_the_command_leave_its_exit_code_alone(tiny: Path) -> None:
    driver = """\
import atexit, os, signal, sys
from nncompare.cli import main

for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
    atexit.register(os.kill, os.getpid(), number)
sys.argv[1:] = ["show", "missing.yaml"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", driver],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tiny,
    )
    assert done.returncode == 2
