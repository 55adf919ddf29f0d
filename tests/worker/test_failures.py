"""The faces that failures have, told without importing a framework."""

from __future__ import annotations

import pytest

from nncompare.errors import Diverged, Failed, OutOfMemory
from nncompare.worker.failures import as_failure, in_one_line, is_out_of_memory


class OutOfMemoryError(RuntimeError):
    """As PyTorch names it."""


class Derived(OutOfMemoryError):
    pass


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("x"),
        Derived("x"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: out of memory"),
        ValueError("OOM when allocating tensor"),
        RuntimeError("Failed to allocate request for 10 GiB"),
    ],
)
def test_faces_of_running_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert isinstance(as_failure(error), OutOfMemory)


def test_other_errors_are_failures_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    error = ValueError("\n first \n second")
    assert not is_out_of_memory(error)
    failure = as_failure(error)
    assert isinstance(failure, Failed)
    assert str(failure) == "ValueError: first " or str(failure) == "ValueError: first"
    assert "ValueError" in capfd.readouterr().err
    assert in_one_line(KeyError()) == "KeyError: no message"


def test_what_was_raised_on_purpose_stays_what_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    error = Diverged("loss is nan")
    assert as_failure(error) is error
    assert capfd.readouterr().err == ""
