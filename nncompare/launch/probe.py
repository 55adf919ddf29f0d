"""Asks one framework which versions and devices it has."""

from __future__ import annotations

from pathlib import Path

from nncompare.launch.run_worker import run_worker
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import ProbeRequest

TIMEOUT_S = 120.0
"""An import takes some seconds, on a cold disk more than a minute."""


def probe(runtime: str, folder: Path) -> Outcome:
    """Imports the runtime's framework in a process of its own.

    Args:
        runtime: a name of the catalog.
        folder: where the job and its log are written.

    Returns:
        ``versions`` and ``probed.devices``, or why there are none.
    """
    return run_worker(ProbeRequest(runtime=runtime), folder, timeout_s=TIMEOUT_S)
