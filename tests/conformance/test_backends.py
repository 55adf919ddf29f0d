"""Every backend passes every case, quantity by quantity."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nncompare.spec.runtimes import CATALOG
from tests.conformance.cases import CASES
from tests.conformance.checks import quantities
from tests.conformance.conftest import BACKENDS, ROOT, TIMEOUT_S, Suite

ALL = [
    pytest.param(backend, case.name, quantity, marks=getattr(pytest.mark, f"needs_{backend}"))
    for backend in BACKENDS
    for case in CASES.values()
    for quantity in quantities(case)
]


@pytest.mark.timeout(TIMEOUT_S + 60)  # the first test of a backend waits for its worker
@pytest.mark.parametrize(("backend", "case", "quantity"), ALL)
def test_backend_agrees_with_numpy(suite: Suite, backend: str, case: str, quantity: str) -> None:
    if reason := CATALOG[backend].missing():
        pytest.skip(reason)
    line = suite.report(backend).get(case)
    assert line is not None, (
        f"the worker did not come to this case; its log ends:\n{suite.log(backend)}"
    )
    assert line["error"] is None, line["error"]
    checks = [check for check in line["checks"] if check["quantity"] == quantity]
    assert checks, "nothing was compared"
    wrong = [
        f"{check['what']}: {'not comparable' if check['worst'] is None else check['worst']}, gate"
        f" {check['gate']}"
        for check in checks
        if not check["passed"]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("runtime", [name for name in CATALOG if name not in BACKENDS])
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
    command = [sys.executable, "-m", "tests.conformance.worker", runtime, "--only", *only]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
