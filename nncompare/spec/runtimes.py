"""Every runtime by name: where its backend is, what it needs, how to install it, its environment.

Nothing here loads a framework, and no other module lists runtimes. A plug-in adds its own through
an entry point of the group ``nncompare.backends`` that names a ``Runtime``, or a list of them.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nncompare.spec.catalog import Catalog, UnusableError

_NAME = re.compile(r"[a-z][a-z0-9_]*(:[a-z0-9_]+)?")


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A backend and its execution mode.

    Args:
        name: what ``backends:`` and ``-b`` take: ``tensorflow``, or with a mode ``tensorflow:xla``.
        title: one line for ``nncompare list``.
        module: the module whose ``BACKEND`` is the ``backends.base.Backend``. It is imported in a
            worker process only, and imports the framework.
        needs: the top-level modules that must be installed.
        install: the requirements that pip installs them by, with a space between: ``torch>=2.7``.
        environment: variables to set before the worker starts, besides those of threads and
            devices.
        deterministic: variables to set besides, in place of ``environment``'s, where runs are
            compared number by number.
        derivatives: the module whose ``DERIVATIVES`` answers ``nncompare gradcheck``; None: this
            backend differentiates no formulas.
        by_default: it is compared where the user names no runtimes.
    """

    name: str
    title: str
    module: str
    needs: tuple[str, ...]
    install: str
    environment: Mapping[str, str] = field(default_factory=dict)
    deterministic: Mapping[str, str] = field(default_factory=dict)
    derivatives: str | None = None
    by_default: bool = False

    def missing(self) -> str | None:
        """Why this runtime is not installed, with the command that installs it; None if it is."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if not absent:
            return None
        return f"not installed: {' and '.join(absent)}; pip install {self.requirements}"

    @property
    def requirements(self) -> str:
        """What stands after ``pip install``, each in quotes, since a shell redirects at ``>``."""
        return " ".join(f'"{requirement}"' for requirement in self.install.split())


def mode_of(runtime: str) -> str:
    """The execution mode: ``torch:compile`` -> ``compile``; empty for the plain runtime."""
    return runtime.partition(":")[2]


def file_name(runtime: str) -> str:
    """``torch:compile`` -> ``torch-compile``: not every system takes a colon in a file's name."""
    return runtime.replace(":", "-")


# Level 2 hides what TensorFlow says while it starts, and shows its errors; oneDNN is as shipped.
_TENSORFLOW_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "1"}

# what cuBLAS needs to give the same numbers every time
_CUBLAS_DETERMINISTIC = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
# oneDNN reorders sums
_TENSORFLOW_DETERMINISTIC = {"TF_ENABLE_ONEDNN_OPTS": "0", **_CUBLAS_DETERMINISTIC}


# What they are installed by is what the extras of pyproject.toml say. The extras themselves would
# be looked for on an index, which does not have nncompare.
_TORCH = Runtime(
    name="torch",
    title="PyTorch modules, eager",
    module="nncompare.backends.torch",
    needs=("torch",),
    install="torch>=2.7",
    deterministic=_CUBLAS_DETERMINISTIC,
    derivatives="nncompare.backends.torch.derivatives",
    by_default=True,
)
_TENSORFLOW = Runtime(
    name="tensorflow",
    title="raw tf.Module code, step in a tf.function",
    module="nncompare.backends.tensorflow",
    needs=("tensorflow",),
    install="tensorflow>=2.19",
    environment=_TENSORFLOW_QUIET,
    deterministic=_TENSORFLOW_DETERMINISTIC,
    derivatives="nncompare.backends.tensorflow.derivatives",
    by_default=True,
)
_KERAS = replace(
    _TENSORFLOW,
    name="keras",
    title="keras.layers and Model.fit on the TensorFlow engine",
    module="nncompare.backends.keras",
    needs=("keras", "tensorflow"),
    install="keras>=3.10 tensorflow>=2.19",
    # its engine is chosen before it is imported
    environment={**_TENSORFLOW_QUIET, "KERAS_BACKEND": "tensorflow"},
    derivatives="nncompare.backends.keras.derivatives",
)


def _mode(runtime: Runtime, mode: str, title: str) -> Runtime:
    """Another execution mode of the same backend, compared where the user names it."""
    return replace(runtime, name=f"{runtime.name}:{mode}", title=title, by_default=False)


_SHIPPED = (
    _TORCH,
    _mode(_TORCH, "compile", "PyTorch modules through torch.compile"),
    _TENSORFLOW,
    _mode(_TENSORFLOW, "xla", "raw tf.Module code, step compiled by XLA"),
    _KERAS,
    _mode(_KERAS, "xla", "keras.layers and Model.fit, compiled by XLA"),
)

DEFAULT_RUNTIMES = tuple(runtime.name for runtime in _SHIPPED if runtime.by_default)
"""What is compared where the user names no runtimes."""


def _shipped() -> dict[str, Runtime]:
    return {runtime.name: runtime for runtime in _SHIPPED}


def _check(value: object) -> tuple[str, Runtime]:
    """What a plug-in gives, as a runtime and its name.

    Raises:
        UnusableError: it is something else, or its name cannot be written after ``-b``.
    """
    if not isinstance(value, Runtime):
        raise UnusableError(f"it gives {value!r}, not a nncompare.spec.runtimes.Runtime")
    if not _NAME.fullmatch(value.name):
        raise UnusableError(
            f"the name {value.name!r} is not letters, digits and underscores in lower case, with"
            " perhaps a mode after a colon"
        )
    return value.name, value


CATALOG: Catalog[Runtime] = Catalog("nncompare.backends", shipped=_shipped, check=_check)
"""Every runtime by its name."""


def by_backend() -> dict[str, tuple[str, ...]]:
    """The first runtime of each backend, which is its plain mode -> all runtimes of the backend."""
    found: dict[str, list[str]] = {}
    for name, runtime in CATALOG.items():
        found.setdefault(runtime.module, []).append(name)
    return {names[0]: tuple(names) for names in found.values()}
