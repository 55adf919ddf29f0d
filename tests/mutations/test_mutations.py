"""Every planted error fails the certificate, is found where it is, and is told what it
looks like.
"""

from __future__ import annotations

import pytest

from tests.mutations.catalog import MUTATIONS
from tests.mutations.laboratory import BACKENDS, TIMEOUT_S, Laboratory
from tests.mutations.mutation import Mutation
from tests.mutations.patching import FOLDER
from tests.mutations.verdict import problem

# the first test waits for all workers
pytestmark = pytest.mark.timeout(TIMEOUT_S + 120)


def test_there_are_enough_of_every_backend() -> None:
    assert len({mutation.id for mutation in MUTATIONS}) == len(MUTATIONS) >= 30
    for backend in BACKENDS:
        assert sum(mutation.backend == backend for mutation in MUTATIONS) >= 10


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.id for mutation in MUTATIONS])
def test_text_is_still_there(mutation: Mutation) -> None:
    """What is to be replaced occurs exactly once in the backend's file."""
    for patch in mutation.patches:
        text = (FOLDER / patch.file).read_text(encoding="utf-8")
        assert patch.apply(text) != text


@pytest.mark.parametrize(
    ("experiment", "dtype"),
    sorted({(m.experiment, m.dtype) for m in MUTATIONS if m.convention == "aligned"}),
)
def test_unbroken_backends_are_certified(
    laboratory: Laboratory, experiment: str, dtype: str
) -> None:
    verdict = laboratory.unbroken(experiment, dtype)
    assert verdict.error is None
    assert verdict.failed == []
    assert verdict.findings == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "experiment", sorted({m.experiment for m in MUTATIONS if m.convention == "native"})
)
def test_unbroken_backends_are_certified_natively(
    laboratory: Laboratory, experiment: str, backend: str
) -> None:
    verdict = laboratory.unbroken_natively(experiment, backend)
    assert verdict.error is None
    assert verdict.failed == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.id for mutation in MUTATIONS])
def test_planted_error_is_found(laboratory: Laboratory, mutation: Mutation) -> None:
    assert problem(mutation, laboratory.broken(mutation)) is None
