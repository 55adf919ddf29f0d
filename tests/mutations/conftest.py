"""The workers of the suite, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nncompare.spec.runtimes import CATALOG
from tests.mutations.laboratory import BACKENDS, Laboratory


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    missing = [reason for name in BACKENDS if (reason := CATALOG[name].missing())]
    if missing:
        pytest.skip("; ".join(missing))
    running = Laboratory(tmp_path_factory.mktemp("mutations"))
    yield running
    running.close()
