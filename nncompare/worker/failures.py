"""What a worker says of an error: which failure it is, and in one line why."""

from __future__ import annotations

import traceback

from nncompare.errors import Failed, OutOfMemory, RuntimeFailure

_OUT_OF_MEMORY_ERRORS = {"OutOfMemoryError", "ResourceExhaustedError", "MemoryError"}
_OUT_OF_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate",
    "oom when",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True for the faces that running out of memory has in the frameworks, told without importing
    one.
    """
    names = {cls.__name__ for cls in type(error).__mro__}
    # some say so by their class, others in their text alone
    if names & _OUT_OF_MEMORY_ERRORS:
        return True
    text = str(error).lower()
    return any(words in text for words in _OUT_OF_MEMORY_WORDS)


def in_one_line(error: BaseException) -> str:
    """``ValueError: what it says``, without the lines that follow the first."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def as_failure(error: BaseException) -> RuntimeFailure:
    """The failure that an error is. The traceback of one that nobody raised on purpose goes to the
    log.
    """
    # raised on purpose: its reason says it all
    if isinstance(error, RuntimeFailure):
        return error
    traceback.print_exception(error)
    text = in_one_line(error)
    return OutOfMemory(text) if is_out_of_memory(error) else Failed(text)
