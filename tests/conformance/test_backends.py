"""The three backends pass the shipped suite, and so do their other execution modes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nncompare.spec.runtimes import CATALOG
from nncompare.testing.target import plain_runtimes

# pytest finds the suite's tests, its parametrization and its fixture by their names here
from nncompare.testing.test_backend import (  # noqa: F401
    pytest_generate_tests,
    suite,
    test_backend_agrees_with_numpy,
)
from nncompare.testing.workers import TIMEOUT_S


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("runtime", sorted(set(CATALOG) - set(plain_runtimes())))
def test_other_modes_agree_with_numpy(runtime: str) -> None:
    """A few cases of every kind: the layers are those of the plain runtime, only the compiler
    differs.
    """
    if reason := CATALOG[runtime].missing():
        pytest.skip(reason)
    only = [
        "layer/dense_on_channels",
        "layer/conv2d_explicit",
        "layer/gru",
        "optimizer/adam_defaults",
        "train/",
    ]
    command = [sys.executable, "-m", "nncompare.testing.worker", runtime, "--only", *only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
