"""Is it the same network, and which is faster here? PyTorch, TensorFlow and Keras on one
experiment.

The public Python API::

    import nncompare

    experiment = nncompare.load("configs/digits_mlp.yaml", "train.epochs=5")
    run = nncompare.run(experiment)              # or with a file's name and overrides
    run["torch"].final.test_accuracy             # the figures of ``result.json``
    run                                          # the tables, in a terminal and in a notebook
    nncompare.read("results/…")                  # a stored run
    nncompare.verify(experiment).certified       # do the runtimes compute the same function?
    nncompare.tune("configs/tune_mnist_mlp.yaml").best.params  # found with Optuna
    nncompare.gradcheck("x**3 + 2*x**2")         # a derivative by every method in every framework

Names are imported when they are first used, so that ``import nncompare`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nncompare.version import __version__

__all__ = [
    "Certificate",
    "Gradcheck",
    "NncompareError",
    "Run",
    "Tuned",
    "__version__",
    "gradcheck",
    "load",
    "read",
    "run",
    "tune",
    "verify",
]

if TYPE_CHECKING:
    from nncompare.api import (
        Certificate,
        Gradcheck,
        Run,
        Tuned,
        gradcheck,
        load,
        read,
        run,
        tune,
        verify,
    )
    from nncompare.errors import NncompareError


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'nncompare' has no attribute {name!r}")
    from nncompare import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted(__all__)
