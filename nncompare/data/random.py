"""``random``: random numbers of any shape, for benchmarks. Nothing can be learned from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data.base import Data, Signature, Split, TensorSpec, digest
from nncompare.data.splits import cut, order
from nncompare.errors import DataError
from nncompare.numerics.keys import generator
from nncompare.spec.data import Random, Task

Array = NDArray[Any]
_MOST = 2**31 - 1


def signature(spec: Random, task: Task) -> Signature:
    """As the spec says: ``shape`` of numbers, or ``(steps,)`` tokens; ``binary`` has one output.

    Raises:
        DataError: tokens with more than one axis, a classification with one class, sizes beyond
            int32.
    """
    if spec.vocabulary is not None and len(spec.shape) != 1:
        raise DataError(
            f"data.shape: {list(spec.shape)} with data.vocabulary; tokens have one axis, [steps]"
        )
    if task == "classification" and spec.outputs < 2:
        raise DataError(
            "data.outputs: 1 class, nothing to tell apart; write at least 2, or task: binary"
        )
    if max(spec.outputs, spec.vocabulary or 0) > _MOST:
        raise DataError(f"data.outputs, data.vocabulary: at most {_MOST}")
    outputs = 1 if task == "binary" else spec.outputs
    return Signature(input=TensorSpec(spec.shape, spec.vocabulary), outputs=outputs)


def prepare(spec: Random, task: Task, seed: int, dtype: np.dtype[Any]) -> Data:
    """Standard normal numbers or uniform tokens; labels and targets independent of them."""
    source = generator(seed, "data/random")
    shape = (spec.examples, *spec.shape)
    x: Array
    if spec.vocabulary is None:
        x = source.standard_normal(shape)
    else:
        x = source.integers(0, spec.vocabulary, shape, dtype=np.int32)
    y = _targets(spec, task, source)
    rows = cut(order(len(x), seed), test=spec.test, validation=spec.validation, limit=spec.limit)
    return Data(
        **{part: Split(x=x[index], y=y[index]) for part, index in vars(rows).items()},
        signature=signature(spec, task),
        digests={"random": digest(x, y)},
        notes=("random: nothing can be learned from these data",),
    )


def _targets(spec: Random, task: Task, source: np.random.Generator) -> Array:
    if task == "classification":
        return source.integers(0, spec.outputs, spec.examples, dtype=np.int32)
    if task == "binary":
        return source.integers(0, 2, (spec.examples, 1)).astype(np.float64)
    return source.standard_normal((spec.examples, spec.outputs))
