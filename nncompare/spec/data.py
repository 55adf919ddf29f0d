"""What a data set is: the base class of all of them, and the catalog of their names.

A data set is one class in one module of ``nncompare.data``, or in a plug-in. An instance is the
``data:`` section of an experiment file, so its fields are the keys of that section.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from nncompare.spec.catalog import Catalog, UnusableError
from nncompare.spec.frozen import LIMIT, Frozen
from nncompare.spec.layers.base import TensorSpec
from nncompare.spec.unions import defined_in, word_of

if TYPE_CHECKING:
    import numpy as np

Task = Literal["classification", "binary", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)

Sizes = tuple[Annotated[int, Field(gt=0, le=LIMIT)], ...]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Report = Callable[[str], None]
"""Is told the steps of a download, one line each."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a model must take and give for a data set.

    Args:
        input: one example.
        outputs: classes, 1 for ``binary``, or regression values.
        per_step: True if there is one target for every step, so that the model gives ``(T,
            outputs)``.
    """

    input: TensorSpec
    outputs: int
    per_step: bool = False


@dataclass(frozen=True, kw_only=True)
class Starter:
    """What ``nncompare init`` writes for a data set, so that a first run learns something.

    Args:
        model: ``dense`` layers, a ``recurrent`` layer over numbers, or one over ``tokens``.
        epochs: passes over the training part.
        batch_size: examples a step.
        learning_rate: of Adam.
    """

    model: Literal["dense", "recurrent", "tokens"] = "dense"
    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 1e-3


class DataSet(Frozen):
    """The base of every data set.

    A subclass narrows ``name`` to one word (``name: Literal["iris"]``), adds its own fields, sets
    the traits, and says in ``signature`` and ``prepare`` what its examples are. What is heavy
    (scikit-learn, pooch) is imported inside these methods: the module itself is imported by every
    command that reads an experiment file.
    """

    tasks: ClassVar[tuple[Task, ...]]
    """The tasks that it can be used for; the first is the one of a file that names none."""
    title: ClassVar[str]
    """One line for ``nncompare list``."""
    ordered: ClassVar[bool] = False
    """Neighbouring examples belong together: folds are cut without shuffling."""
    generated: ClassVar[bool] = False
    """Its examples are computed, not observed."""
    download: ClassVar[str | None] = None
    """Its examples are files of the user or from the network: the name for ``nncompare data
    fetch``, which data sets made of the same files share. None: bundled or generated.
    """
    starter: ClassVar[Starter] = Starter()

    name: str
    validation: Fraction = 0.2
    """Share of the training examples held back for validation."""
    limit: int | None = Field(default=None, gt=1, le=LIMIT)
    """Use only so many examples before the split into training and validation (a quick look)."""

    @abstractmethod
    def signature(self, task: Task) -> Signature:
        """What a model must take and give, without loading the examples where that is possible.

        Args:
            task: one of ``tasks``.

        Raises:
            DataError: a setting is impossible, or files that decide the shapes are not at hand.
        """

    @abstractmethod
    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> object:
        """The examples, split and normalized, as a ``nncompare.data.base.Data``.

        Args:
            task: one of ``tasks``; decides the form of the targets, see ``data.base.Split``.
            seed: keys the split and what is generated.
            dtype: of floating-point arrays. ``nncompare.data.prepare`` converts what is left.

        Raises:
            DataError: files are missing or damaged, or a part would be empty.
        """

    def place(self) -> Path | None:
        """Where its files are. None: ``ensure`` would download them, or it has none.

        Raises:
            DataError: a path that the user has set is wrong or incomplete.
        """
        return None

    def ensure(self, report: Report) -> None:
        """Downloads what is missing; called before ``prepare``."""

    @classmethod
    def fetch(cls, report: Report) -> Path | None:
        """Downloads what is missing or damaged and checks it (``nncompare data fetch``).

        Returns:
            The file or folder; None for a data set that has none.
        """
        report(f"{word_of(cls, 'name')}: nothing to download, it is {cls.title}")
        return None


class PooledDataSet(DataSet):
    """A data set without a test set of its own: a share of one pool of examples becomes it."""

    test: Fraction = 0.2
    """Share of all examples held back as the test set."""


class Normalized(Frozen):
    """A data set whose inputs can be normalized. Mixed into a ``DataSet``."""

    one_scale: ClassVar[bool] = False
    """One mean and one deviation for all numbers of an example (pixels), not one a feature."""

    normalize: bool = True
    """Inputs to mean 0 and standard deviation 1, with the figures of the training part."""


def _shipped() -> dict[str, type[DataSet]]:
    """The data sets in the modules of ``nncompare.data``, observed ones before generated ones.

    The package stands above this one, so it is imported by its name, and only when it is needed.
    """
    package = import_module("nncompare.data")
    found = defined_in(package, DataSet, "name")  # type: ignore[type-abstract]

    def rank(name: str) -> tuple[bool, int, str]:
        cls = found[name]
        return cls.generated, TASKS.index(cls.tasks[0]), name

    return {name: found[name] for name in sorted(found, key=rank)}


def _check(value: object) -> tuple[str, type[DataSet]]:
    """What a plug-in gives, as a data set and its name.

    Raises:
        UnusableError: it is something else, or a class that is not finished.
    """
    if not isinstance(value, type) or not issubclass(value, DataSet):
        raise UnusableError(f"it gives {value!r}, not a subclass of nncompare.data.DataSet")
    name = word_of(value, "name")
    if name is None or not name.isidentifier():
        raise UnusableError(f'{value.__name__} does not say its name: name: Literal["…"]')
    if inspect.isabstract(value):
        missing = ", ".join(sorted(value.__abstractmethods__))
        raise UnusableError(f"{value.__name__} lacks {missing}")
    for trait in ("tasks", "title"):
        if not getattr(value, trait, None):
            raise UnusableError(f"{value.__name__}.{trait} is not set")
    required = [key for key, field in value.model_fields.items() if field.is_required()]
    if value.download is not None and required != ["name"]:
        # doctor asks where the files are, with the defaults of all keys
        raise UnusableError(f"{value.__name__}.download is set, but not every key has a default")
    if not set(value.tasks) <= set(TASKS):
        raise UnusableError(f"{value.__name__}.tasks: {value.tasks!r}. Allowed: {', '.join(TASKS)}")
    # One class that has no schema would leave all experiments without one.
    value.model_json_schema()
    return name, value


DATA: Catalog[type[DataSet]] = Catalog("nncompare.data", shipped=_shipped, check=_check)
"""Every data set's class by its name."""
