"""What a worker can say of its own process."""

from __future__ import annotations

from pathlib import Path


def peak_resident_bytes() -> int | None:
    """Largest resident set of this process; None where the system does not say.

    ``VmHWM`` where the system has it: ``ru_maxrss`` of a child starts at its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            # in kB, which the kernel means as KiB
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
