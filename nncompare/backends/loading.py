"""Loads the backend of a runtime: in a worker process only, and one framework each."""

from __future__ import annotations

import importlib

from nncompare.backends.base import Backend
from nncompare.backends.derivatives import Derivatives
from nncompare.errors import Failed, Refused
from nncompare.spec.runtimes import CATALOG, Runtime


def load_backend(runtime: str) -> Backend:
    """Imports the runtime's framework.

    Args:
        runtime: a name of the catalog.

    Raises:
        Failed: the worker knows no such runtime.
    """
    backend: Backend = importlib.import_module(_entry(runtime).module).BACKEND
    return backend


def load_derivatives(runtime: str) -> Derivatives:
    """Imports the runtime's framework and what differentiates formulas in it.

    Raises:
        Failed: the worker knows no such runtime.
        Refused: its backend differentiates no formulas.
    """
    module = _entry(runtime).derivatives
    if module is None:
        raise Refused(f"the backend of {runtime} differentiates no formulas")
    derivatives: Derivatives = importlib.import_module(module).DERIVATIVES
    return derivatives


def _entry(runtime: str) -> Runtime:
    if runtime not in CATALOG:
        # The parent knew it: a plug-in that was found beside the current folder, which is not on
        # a worker's path, or that fails in the worker's environment.
        reasons = [f"{item.name}: {item.reason}" for item in CATALOG.broken]
        because = f" ({'; '.join(reasons)})" if reasons else ""
        raise Failed(f"the worker process finds no runtime {runtime!r}{because}")
    return CATALOG[runtime]
