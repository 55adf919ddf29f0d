"""What a worker can say of its own process."""

from __future__ import annotations

from pathlib import Path

import psutil


def peak_resident_bytes() -> int | None:
    """Largest resident set of this process.

    ``VmHWM`` where the system has it: ``ru_maxrss`` of a child starts at its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    info = psutil.Process().memory_info()
    peak = getattr(info, "peak_wset", None)
    return int(peak) if peak else None


_OUT_OF_MEMORY = ("OutOfMemoryError", "ResourceExhaustedError", "MemoryError")
_MEMORY_WORDS = (
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
    text = str(error).lower()
    return bool(names & set(_OUT_OF_MEMORY)) or any(words in text for words in _MEMORY_WORDS)
