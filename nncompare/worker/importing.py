"""The first thing that every worker does: it imports its framework and says so."""

from __future__ import annotations

import time

from nncompare.backends.base import Backend
from nncompare.backends.loading import load_backend
from nncompare.errors import Refused
from nncompare.spec.job import Job
from nncompare.wire.connection import Send
from nncompare.wire.messages import Imported


def import_framework(runtime: str, send: Send) -> Backend:
    """The runtime's backend; what the import took and found is sent as ``imported``."""
    # the import itself is a figure of the table
    begun = time.perf_counter()
    backend = load_backend(runtime)
    import_s = time.perf_counter() - begun
    send(Imported(versions=backend.versions(), import_s=import_s))
    return backend


def agreed(backend: Backend, job: Job) -> Job:
    """The job as the backend resolves it, with its own defaults in the native convention.

    Raises:
        Refused: it cannot run the job faithfully here, with the reason.
    """
    if reason := backend.why_not(job):
        raise Refused(reason)
    return backend.resolve(job)
