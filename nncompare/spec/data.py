"""Which data set, and how it is cut. The arrays themselves come from ``nncompare.data``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nncompare.spec.frozen import Frozen
from nncompare.spec.layers.base import TensorSpec

Task = Literal["classification", "binary", "regression"]


Sizes = tuple[Annotated[int, Field(gt=0)], ...]
Fraction = Annotated[float, Field(gt=0, lt=1)]


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


class _Data(Frozen):
    tasks: ClassVar[tuple[Task, ...]]
    title: ClassVar[str]

    name: str
    validation: Fraction = 0.2
    """Share of the training examples held back for validation."""
    limit: int | None = Field(default=None, gt=1)
    """Use only so many examples before the split into training and validation (a quick look)."""


class _Tested(_Data):
    test: Fraction = 0.2
    """Share of all examples held back as the test set."""


class _Normalized(Frozen):
    normalize: bool = True
    """Inputs to mean 0 and standard deviation 1, with the figures of the training part."""


class Mnist(_Data, _Normalized):
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    title: ClassVar[str] = "handwritten digits, 60,000 + 10,000 images 28x28 (LeCun et al. 1998)"
    name: Literal["mnist"]
    path: str | None = None
    """Folder with the four IDX files; default: NNCOMPARE_DATA_DIR, then the cache, then a download.
    """


class MnistRows(Mnist):
    title: ClassVar[str] = "MNIST images as sequences of 28 rows"
    name: Literal["mnist_rows"]  # type: ignore[assignment]


class Digits(_Tested, _Normalized):
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    title: ClassVar[str] = "1,797 handwritten digits 8x8, bundled with scikit-learn"
    name: Literal["digits"]


class DigitsRows(_Tested, _Normalized):
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    title: ClassVar[str] = "digits as sequences of 8 rows"
    name: Literal["digits_rows"]


class BreastCancer(_Tested, _Normalized):
    tasks: ClassVar[tuple[Task, ...]] = ("binary",)
    title: ClassVar[str] = "569 tumours, 30 features, bundled with scikit-learn"
    name: Literal["breast_cancer"]


class Diabetes(_Tested, _Normalized):
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    title: ClassVar[str] = (
        "442 patients, 10 features, disease progression (target standardized), from scikit-learn"
    )
    name: Literal["diabetes"]


class Pattern(_Tested):
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    title: ClassVar[str] = "the next token of a repeating pattern"
    name: Literal["pattern"]
    pattern: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2), min_length=1)
    repeats: int = Field(default=50, gt=1)
    window: int = Field(default=5, gt=0)
    """Tokens the model sees before it names the next."""


class Text(_Data):
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    title: ClassVar[str] = "the next character at every position of a window of a text file"
    name: Literal["text"]
    path: str | None = None
    """A UTF-8 text file; default: tinyshakespeare from NNCOMPARE_DATA_DIR, the cache, or a
    download.
    """
    window: int = Field(default=64, gt=0)
    stride: int | None = Field(default=None, gt=0)
    """Characters between the starts of two windows; default: the window, so that they do not
    overlap.
    """
    test: Fraction = 0.1
    """Share at the end of the text held back as the test set; validation is the part before it."""


class Adding(_Tested):
    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    title: ClassVar[str] = (
        "the adding problem (Hochreiter and Schmidhuber 1997): sum of two marked numbers"
    )
    name: Literal["adding"]
    length: int = Field(default=50, gt=1)
    examples: int = Field(default=10_000, gt=10)


class Random(_Tested):
    tasks: ClassVar[tuple[Task, ...]] = ("classification", "binary", "regression")
    title: ClassVar[str] = "random numbers of any shape, for benchmarks: nothing can be learned"
    name: Literal["random"]
    shape: Sizes = Field(default=(784,), min_length=1)
    outputs: int = Field(default=10, gt=0)
    examples: int = Field(default=4096, gt=10)
    vocabulary: int | None = Field(default=None, gt=1)
    """Set: integer tokens of shape ``(steps,)``; unset: standard normal numbers."""


AnyData = Annotated[
    Mnist
    | MnistRows
    | Digits
    | DigitsRows
    | BreastCancer
    | Diabetes
    | Pattern
    | Text
    | Adding
    | Random,
    Field(discriminator="name"),
]

DATA: dict[str, type[_Data]] = {
    "mnist": Mnist,
    "mnist_rows": MnistRows,
    "digits": Digits,
    "digits_rows": DigitsRows,
    "breast_cancer": BreastCancer,
    "diabetes": Diabetes,
    "pattern": Pattern,
    "text": Text,
    "adding": Adding,
    "random": Random,
}
"""Every data set's description by its name."""
