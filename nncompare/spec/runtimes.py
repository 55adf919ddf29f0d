"""Every runtime by name: its module, needs, how to install it, its environment. Loads no framework
when imported.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One runtime.

    Args:
        runtime: its name, ``tensorflow:xla``.
        title: one line for ``nncompare list``.
        module: where its ``Backend`` is; importing it imports the framework.
        needs: the modules that must be installed.
        extra: the extra of this package that installs them.
        environment: variables to set before the worker starts, besides those of threads and
            devices.
    """

    runtime: str
    title: str
    module: str
    needs: tuple[str, ...]
    extra: str
    environment: dict[str, str] = field(default_factory=dict)

    def missing(self) -> str | None:
        """The reason why this runtime is not installed, with the command that installs it; None if
        it is.
        """
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if not absent:
            return None
        return f'not installed: {" and ".join(absent)}; pip install "nncompare[{self.extra}]"'


_TENSORFLOW_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "1"}


def _torch(runtime: str, title: str) -> Entry:
    return Entry(
        runtime=runtime,
        title=title,
        module="nncompare.backends.torch",
        needs=("torch",),
        extra="torch",
    )


def _tensorflow(runtime: str, title: str) -> Entry:
    return Entry(
        runtime=runtime,
        title=title,
        module="nncompare.backends.tensorflow",
        needs=("tensorflow",),
        extra="tensorflow",
        environment=_TENSORFLOW_QUIET,
    )


def _keras(runtime: str, title: str) -> Entry:
    return Entry(
        runtime=runtime,
        title=title,
        module="nncompare.backends.keras",
        needs=("keras", "tensorflow"),
        extra="keras",
        environment={**_TENSORFLOW_QUIET, "KERAS_BACKEND": "tensorflow"},
    )


CATALOG: dict[str, Entry] = {
    entry.runtime: entry
    for entry in (
        _torch("torch", "PyTorch modules, eager"),
        _torch("torch:compile", "PyTorch modules through torch.compile"),
        _tensorflow("tensorflow", "raw tf.Module code, step in a tf.function"),
        _tensorflow("tensorflow:xla", "raw tf.Module code, step compiled by XLA"),
        _keras("keras", "keras.layers and Model.fit on the TensorFlow engine"),
        _keras("keras:xla", "keras.layers and Model.fit, compiled by XLA"),
    )
}
RUNTIMES = tuple(CATALOG)
