"""Loads the backend of a runtime: in a worker process only, and one framework each."""

from __future__ import annotations

import importlib

from nncompare.backends.base import Backend
from nncompare.spec.runtimes import CATALOG


def load_backend(runtime: str) -> Backend:
    """Imports the runtime's framework.

    Args:
        runtime: a name of the catalog.
    """
    backend: Backend = importlib.import_module(CATALOG[runtime].module).BACKEND
    return backend
