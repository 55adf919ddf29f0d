"""What this process may use: processors and their quota.

``joblib.cpu_count`` knows affinity and quota too, but takes 1.5 processors for 2: two threads that
share them wait for each other at every step, and a time is what is measured here.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux shows the limits of this process's control group."""


def cpu_quota(root: Path = CGROUP) -> float | None:
    """Processors that the control group grants (version 2, then 1), or None if there is no
    limit.
    """
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass  # no version 2, or no Linux
    try:
        quota_us = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    # version 1 writes -1 where there is no limit
    return quota_us / period_us if quota_us > 0 else None


def usable_threads(asked: int | None = None, *, root: Path = CGROUP) -> int:
    """Threads for one worker: the smallest of affinity, whole processors of the quota, and what was
    asked; >= 1.
    """
    # only Linux and FreeBSD bind a process to some of the processors
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    limits = [available]
    quota = cpu_quota(root)
    # a container may grant less than it shows
    if quota is not None:
        limits.append(math.floor(quota))
    # never more than there is: threads that wait for a processor would be measured
    if asked is not None:
        limits.append(asked)
    return max(1, min(limits))


def too_many_threads(asked: int | None, *, root: Path = CGROUP) -> str | None:
    """What to say where a worker gets fewer threads than ``measure.threads`` asks for; None: it
    gets them.

    No error: the file may come from a larger machine, and runs here as well as it can.
    """
    usable = usable_threads(root=root)
    if asked is None or asked <= usable:
        return None
    return (
        f"measure.threads: {asked:,} asked for, but this process may use {usable:,}, and every"
        f" runtime gets {usable:,}; write 1 to {usable:,}, or null for all"
    )


def killed_for_memory(root: Path = CGROUP) -> int:
    """How many processes of this control group the kernel has killed for memory so far."""
    try:
        lines = (root / "memory.events").read_text().splitlines()
        events = dict(line.split() for line in lines)
        return int(events["oom_kill"])
    # no version 2, or a kernel that counts other things
    except (OSError, ValueError, KeyError):
        return 0
