"""Every backend under test passes every case, quantity by quantity."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nncompare.testing.cases import CASES, shows_nothing_new
from nncompare.testing.checks import quantities
from nncompare.testing.target import Target, find_target, plain_runtimes
from nncompare.testing.workers import TIMEOUT_S, Suite

TARGETS = pytest.StashKey[dict[str, Target]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each backend, case and quantity."""
    if "quantity" not in metafunc.fixturenames:
        return
    # the first test of a backend waits for its worker
    patience = pytest.mark.timeout(TIMEOUT_S + 60)
    asked = []
    for name in _targets(metafunc.config):
        for case in CASES.values():
            marks = [patience, pytest.mark.slow] if shows_nothing_new(case) else [patience]
            for quantity in quantities(case):
                asked.append(pytest.param(name, case.name, quantity, marks=marks))
    metafunc.parametrize(("backend", "case", "quantity"), asked)


@pytest.fixture(scope="session")
def suite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Suite]:
    """The workers, started at the first test that needs them, with the cases that were selected."""
    selected = [
        str(item.callspec.params["case"])
        for item in request.session.items
        # a session may hold other tests as well, of which some have a parameter "quantity" too
        if isinstance(item, pytest.Function) and "suite" in item.fixturenames
    ]
    folder = tmp_path_factory.mktemp("conformance")
    targets = _targets(request.config).values()
    running = Suite(folder, targets, cases=list(dict.fromkeys(selected)))
    yield running
    running.close()


def test_backend_agrees_with_numpy(
    pytestconfig: pytest.Config, suite: Suite, backend: str, case: str, quantity: str
) -> None:
    target = _targets(pytestconfig)[backend]
    if target.missing is not None:
        pytest.skip(target.missing)
    line = suite.report(backend).get(case)
    assert line is not None, (
        f"the worker did not come to this case; its log ends:\n{suite.log(backend)}"
    )
    assert line["error"] is None, line["error"]
    if line["refused"] is not None:
        # what a third party's backend lacks it may refuse; nncompare's own have everything
        assert not target.is_own, f"refused: {line['refused']}"
        pytest.skip(line["refused"])
    checks = [check for check in line["checks"] if check["quantity"] == quantity]
    assert checks, "nothing was compared"
    wrong = []
    for check in checks:
        if not check["passed"]:
            worst = "not comparable" if check["worst"] is None else check["worst"]
            wrong.append(f"{check['what']}: {worst}, tolerance {check['tolerance']}")
    assert not wrong, "\n".join(wrong)


def _targets(config: pytest.Config) -> dict[str, Target]:
    """The backends that the command line asks for, by their names there."""
    if TARGETS not in config.stash:
        asked = config.getoption("--backend", default=None) or plain_runtimes()
        config.stash[TARGETS] = {name: find_target(name) for name in asked}
    return config.stash[TARGETS]
