"""``adding``: the adding problem (Hochreiter and Schmidhuber 1997, section 5.4).

In the form in common use since Le, Jaitly and Hinton 2015 (section 4.1): values uniform in [0, 1),
a marker at one step of each half, and the sum of the two marked values as the target. Answering 1
always has a mean squared error of 1/6, the variance of the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data.base import Data, Signature, Split, TensorSpec, digest
from nncompare.data.splits import cut, order
from nncompare.numerics.keys import generator
from nncompare.spec.data import Adding, Task

Array = NDArray[Any]


def signature(spec: Adding, task: Task) -> Signature:
    """``(length, 2)``: value and marker of each step; one value."""
    return Signature(input=TensorSpec((spec.length, 2)), outputs=1)


def generate(examples: int, length: int, seed: int) -> tuple[Array, Array]:
    """``x`` ``(examples, length, 2)`` and ``y`` ``(examples, 1)``, float64."""
    source = generator(seed, "data/adding")
    x = np.zeros((examples, length, 2))
    x[:, :, 0] = source.random((examples, length))
    half, row = length // 2, np.arange(examples)
    first = source.integers(0, half, examples)
    second = source.integers(half, length, examples)
    x[row, first, 1] = x[row, second, 1] = 1.0
    return x, (x[row, first, 0] + x[row, second, 0]).reshape(-1, 1)


def prepare(spec: Adding, task: Task, seed: int, dtype: np.dtype[Any]) -> Data:
    """Random parts of generated examples; the inputs are not normalized."""
    x, y = generate(spec.examples, spec.length, seed)
    rows = cut(order(len(x), seed), test=spec.test, validation=spec.validation, limit=spec.limit)
    return Data(
        **{part: Split(x=x[index], y=y[index]) for part, index in vars(rows).items()},
        signature=signature(spec, task),
        digests={"adding": digest(x, y)},
        notes=("adding: answering 1 always has a mean squared error of 0.1667",),
    )
