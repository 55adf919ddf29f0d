"""Every backend passes every case, quantity by quantity."""

from __future__ import annotations

import pytest

from nncompare.backends.catalog import CATALOG
from tests.conformance.cases import CASES
from tests.conformance.checks import quantities
from tests.conformance.conftest import BACKENDS, TIMEOUT_S, Suite

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
    assert line is not None, f"the worker did not come to this case; its log ends:\n{suite.log(backend)}"
    assert line["error"] is None, line["error"]
    checks = [check for check in line["checks"] if check["quantity"] == quantity]
    assert checks, "nothing was compared"
    wrong = [
        f"{check['what']}: {'not comparable' if check['worst'] is None else check['worst']}, gate {check['gate']}"
        for check in checks
        if not check["passed"]
    ]
    assert not wrong, "\n".join(wrong)
