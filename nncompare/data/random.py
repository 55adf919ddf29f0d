"""``random``: random numbers of any shape, for benchmarks. Nothing can be learned from them."""

from __future__ import annotations

from typing import Any, Literal, assert_never

import numpy as np
from pydantic import Field

from nncompare.data.base import Array, Data, Signature, TensorSpec, digest
from nncompare.data.splits import split_pool
from nncompare.errors import DataError
from nncompare.numerics.keys import generator
from nncompare.spec.data import PooledDataSet, Sizes, Task
from nncompare.spec.frozen import LIMIT


class Random(PooledDataSet):
    """Random numbers of any shape, for benchmarks: standard normal or, with a `vocabulary`, uniform
    tokens. Labels and targets are independent of them, so nothing can be learned.
    """

    tasks = ("classification", "binary", "regression")
    title = "random numbers of any shape, for benchmarks: nothing can be learned"
    generated = True

    name: Literal["random"]
    shape: Sizes = Field(default=(784,), min_length=1)
    """Shape of one example."""
    outputs: int = Field(default=10, gt=0, lt=2**31)
    """Classes of a classification, or values of a regression."""
    examples: int = Field(default=4096, gt=10, le=LIMIT)
    """How many are generated."""
    vocabulary: int | None = Field(default=None, gt=1, lt=2**31)
    """Set: integer tokens of shape ``(steps,)``; unset: standard normal numbers."""

    def signature(self, task: Task) -> Signature:
        """``shape`` of numbers, or ``(steps,)`` tokens; ``binary`` has one output.

        Raises:
            DataError: tokens with more than one axis, a classification with one class.
        """
        if self.vocabulary is not None and len(self.shape) != 1:
            raise DataError(
                f"data.shape: {list(self.shape)} with data.vocabulary; tokens have one axis,"
                " [steps]"
            )
        if task == "classification" and self.outputs < 2:
            raise DataError(
                "data.outputs: 1 class, nothing to tell apart; write at least 2, or task: binary"
            )
        outputs = 1 if task == "binary" else self.outputs
        return Signature(input=TensorSpec(self.shape, self.vocabulary), outputs=outputs)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """Random parts of what the seed generates; not stratified, not normalized."""
        source = generator(seed, "data/random")
        shape = (self.examples, *self.shape)
        x: Array
        if self.vocabulary is None:
            x = source.standard_normal(shape)
        else:
            x = source.integers(0, self.vocabulary, shape, dtype=np.int32)
        y = self._targets(task, source)
        return Data(
            **split_pool(self, len(x), seed).take(x, y),
            signature=self.signature(task),
            digests={"random": digest(x, y)},
            notes=("random: nothing can be learned from these data",),
        )

    def _targets(self, task: Task, source: np.random.Generator) -> Array:
        match task:
            case "classification":
                return source.integers(0, self.outputs, self.examples, dtype=np.int32)
            case "binary":
                return source.integers(0, 2, (self.examples, 1)).astype(np.float64)
            case "regression":
                return source.standard_normal((self.examples, self.outputs))
            case _:
                assert_never(task)
