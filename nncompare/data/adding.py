"""``adding``: the adding problem (Hochreiter and Schmidhuber 1997, section 5.4).

In the form in common use since Le, Jaitly and Hinton 2015 (section 4.1): values uniform in [0, 1),
a marker at one step of each half, and the sum of the two marked values as the target. Answering 1
always has a mean squared error of 1/6, the variance of the sum.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from nncompare.data.base import Array, Data, Signature, TensorSpec, digest
from nncompare.data.splits import split_pool
from nncompare.numerics.keys import generator
from nncompare.spec.data import PooledDataSet, Starter, Task
from nncompare.spec.frozen import LIMIT


class Adding(PooledDataSet):
    """The adding problem (Hochreiter and Schmidhuber 1997): the sum of two marked numbers.

    A step has a value, uniform in [0, 1), and a marker, which is 1 at one step of each half.
    Answering 1 always has a mean squared error of 1/6, the variance of the sum.
    """

    tasks = ("regression",)
    title = "the adding problem (Hochreiter and Schmidhuber 1997): sum of two marked numbers"
    generated = True
    starter = Starter(model="recurrent")

    name: Literal["adding"]
    length: int = Field(default=50, gt=1, le=LIMIT)
    """Steps of a sequence."""
    examples: int = Field(default=10_000, gt=10, le=LIMIT)
    """How many are generated."""

    def signature(self, task: Task) -> Signature:
        """``(length, 2)``: value and marker of each step; one value."""
        return Signature(input=TensorSpec((self.length, 2)), outputs=1)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """Random parts of generated examples; the inputs are not normalized."""
        x, y = generate(self.examples, self.length, seed)
        return Data(
            **split_pool(self, len(x), seed).take(x, y),
            signature=self.signature(task),
            digests={"adding": digest(x, y)},
            notes=("adding: answering 1 always has a mean squared error of 0.1667",),
        )


def generate(examples: int, length: int, seed: int) -> tuple[Array, Array]:
    """Inputs ``(examples, length, 2)`` and targets ``(examples, 1)``, float64."""
    source = generator(seed, "data/adding")
    x = np.zeros((examples, length, 2))
    x[:, :, 0] = source.random((examples, length))
    half = length // 2
    row = np.arange(examples)
    first = source.integers(0, half, examples)
    second = source.integers(half, length, examples)
    x[row, first, 1] = 1.0
    x[row, second, 1] = 1.0
    y = x[row, first, 0] + x[row, second, 0]
    return x, y.reshape(-1, 1)
