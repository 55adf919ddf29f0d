"""Which backend the suite judges, and in which environment."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from nncompare.backends.base import Backend
from nncompare.errors import UsageError
from nncompare.spec.catalog import OWN
from nncompare.spec.runtimes import CATALOG, by_backend


@dataclass(frozen=True, kw_only=True)
class Target:
    """A backend under test.

    Args:
        name: as the user wrote it.
        runtime: the name that its jobs carry; the part after the colon is the execution mode.
        module: where it is; importing it imports the framework.
        attribute: the backend's name in the module.
        environment: variables that its framework needs before it is imported.
        missing: the reason why it cannot be imported, or None.
        is_own: nncompare ships it.
    """

    name: str
    runtime: str
    module: str
    attribute: str = "BACKEND"
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str | None = None
    is_own: bool = False

    def load(self) -> Backend:
        """Imports the framework and returns the backend: in a worker process only."""
        backend: Backend = getattr(importlib.import_module(self.module), self.attribute)
        return backend


def find_target(name: str) -> Target:
    """The backend for ``torch:compile`` (a runtime's name) or ``mypackage.mybackend:BACKEND``.

    Raises:
        UsageError: it is neither.
    """
    if name in CATALOG:
        return _of_runtime(name, name)
    module, _, attribute = name.partition(":")
    if not attribute.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(
            f"--backend {name}: neither a runtime ({', '.join(CATALOG)}) nor an object in a module"
            " such as mypackage.mybackend:BACKEND"
        )
    for runtime, entry in CATALOG.items():
        # a runtime of the catalog keeps its environment, however it was named
        if entry.module == module and attribute == "BACKEND":
            return _of_runtime(name, runtime)
    return Target(name=name, runtime=module.rpartition(".")[2], module=module, attribute=attribute)


def plain_runtimes() -> list[str]:
    """Every backend once, in its plain mode: the layers of the other modes are the same."""
    return list(by_backend())


def _of_runtime(name: str, runtime: str) -> Target:
    entry = CATALOG[runtime]
    return Target(
        name=name,
        runtime=runtime,
        module=entry.module,
        environment=entry.environment,
        missing=entry.missing(),
        is_own=CATALOG.origin(runtime) == OWN,
    )
