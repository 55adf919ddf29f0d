"""``spiral``: points on interleaved arms, which no linear model can tell apart."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from nncompare.data.base import Data, Signature, TensorSpec, digest
from nncompare.data.splits import split_pool
from nncompare.numerics.keys import generator
from nncompare.spec.data import PooledDataSet, Starter, Task


class Spiral(PooledDataSet):
    """Points in the plane on interleaved arms of a spiral, with noise; which arm?"""

    tasks = ("classification",)
    title = "points on the arms of a spiral"
    generated = True
    starter = Starter(epochs=20, batch_size=32, learning_rate=1e-2)

    name: Literal["spiral"]
    arms: int = Field(default=2, gt=1)
    """Number of arms, each a class."""
    examples: int = Field(default=600, gt=10)
    """How many points are generated."""
    noise: float = Field(default=0.05, ge=0)
    """Standard deviation of what is added to both coordinates."""

    def signature(self, task: Task) -> Signature:
        """``(2,)`` coordinates; one class an arm."""
        return Signature(input=TensorSpec((2,)), outputs=self.arms)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """Stratified parts of generated points; the inputs are not normalized."""
        source = generator(seed, "data/spiral")
        y = (np.arange(self.examples) % self.arms).astype(np.int32)
        radius = source.random(self.examples)
        angle = 2 * np.pi * (0.75 * radius + y / self.arms)
        x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        x += self.noise * source.standard_normal(x.shape)
        return Data(
            **split_pool(self, len(x), seed, labels=y).take(x, y),
            signature=self.signature(task),
            digests={"spiral": digest(x, y)},
            notes=(f"spiral: {self.examples} generated points on {self.arms} arms",),
        )
