"""The first thing that every worker does: it imports its framework and says so."""

from __future__ import annotations

import time

from nncompare.backends.base import Backend
from nncompare.backends.loading import load_backend
from nncompare.wire.connection import Send
from nncompare.wire.messages import Imported


def import_framework(runtime: str, send: Send) -> Backend:
    """The runtime's backend; what the import took and found is sent as ``imported``."""
    begun = time.perf_counter()
    backend = load_backend(runtime)
    import_s = time.perf_counter() - begun
    send(Imported(versions=backend.versions(), import_s=import_s))
    return backend
