"""Is it the same network, and which is faster here? PyTorch, TensorFlow and Keras on one
experiment.

The public Python API::

    import nncompare

    experiment = nncompare.load("configs/digits_mlp.yaml", "train.epochs=5")
    run = nncompare.run(experiment)              # or with a file's name and overrides
    run["torch"].final.test_accuracy             # the figures of ``result.json``
    run                                          # the tables, in a terminal and in a notebook
    nncompare.read("results/…")                  # a stored result of any kind
    nncompare.verify(experiment).certified       # do the runtimes compute the same function?
    nncompare.tune("configs/tune_mnist_mlp.yaml").best.params  # found with Optuna
    nncompare.compare_conventions(experiment)    # what do the frameworks' own defaults cost?
    nncompare.gradcheck("x**3 + 2*x**2")         # a derivative by every method in every framework

Names are imported when they are first used, so that ``import nncompare`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nncompare.version import __version__ as __version__

_HOMES = {
    "Certificate": "nncompare.studies.verify.api",
    "Conventions": "nncompare.studies.conventions.api",
    "Gradcheck": "nncompare.studies.gradcheck.api",
    "NncompareError": "nncompare.errors",
    "Result": "nncompare.show.result",
    "Run": "nncompare.studies.run.api",
    "Tuned": "nncompare.studies.tune.api",
    "compare_conventions": "nncompare.studies.conventions.api",
    "gradcheck": "nncompare.studies.gradcheck.api",
    "load": "nncompare.studies.loading",
    "read": "nncompare.studies.loading",
    "run": "nncompare.studies.run.api",
    "tune": "nncompare.studies.tune.api",
    "verify": "nncompare.studies.verify.api",
}
"""Every public name -> the module that it lives in."""

__all__ = ["__version__", *_HOMES]

# The same for type checkers and editors, which do not run what stands below; a test compares them.
if TYPE_CHECKING:
    from nncompare.errors import NncompareError as NncompareError
    from nncompare.show.result import Result as Result
    from nncompare.studies.conventions.api import Conventions as Conventions
    from nncompare.studies.conventions.api import compare_conventions as compare_conventions
    from nncompare.studies.gradcheck.api import Gradcheck as Gradcheck
    from nncompare.studies.gradcheck.api import gradcheck as gradcheck
    from nncompare.studies.loading import load as load
    from nncompare.studies.loading import read as read
    from nncompare.studies.run.api import Run as Run
    from nncompare.studies.run.api import run as run
    from nncompare.studies.tune.api import Tuned as Tuned
    from nncompare.studies.tune.api import tune as tune
    from nncompare.studies.verify.api import Certificate as Certificate
    from nncompare.studies.verify.api import verify as verify


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nncompare' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
