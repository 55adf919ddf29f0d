"""What every data set promises, to be checked by its tests, those of a third party too::

from nncompare.testing.data_set import check_data_set

def test_a_data_set_keeps_its_promises():
    check_data_set(Iris(name="iris"), "classification")
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.data import prepare, signature
from nncompare.data.base import PARTS, Data, Split
from nncompare.spec.data import DATA, DataSet, Normalized, Signature, Task

Array = NDArray[Any]
_ROUNDING = 1e-12
"""How far a mean of normalized numbers may be from 0, and their deviation from 1, in float64."""


def check_data_set(spec: DataSet, task: Task, *, distinct: bool = True) -> None:
    """Prepares the data a few times and looks at the arrays.

    - The catalog knows the class by its name.
    - Shapes, dtypes and ranges are those that the signature and the task demand, in both dtypes.
    - The seed decides everything: the same one gives the same arrays, another one other arrays
      (where the data set is ``ordered``, the parts are consecutive and stay the same).
    - Normalized inputs have mean 0 and deviation 1 over the training part, by its figures alone.
    - There are digests for the record, and notes for the reader.

    Args:
        spec: the data set with its settings; a few hundred examples are enough.
        task: one of its tasks.
        distinct: every example occurs once, so that none is in two parts; False where examples
            repeat.

    Raises:
        AssertionError: a promise is broken; says which.
    """
    _demand(DATA.get(spec.name) is type(spec), f"the name {spec.name} is not that of its class")
    for dtype in ("float32", "float64"):
        data = prepare(spec, task, seed=0, dtype=dtype)
        _demand(data.signature == signature(spec, task), "two different signatures")
        for part in PARTS:
            _check_part(getattr(data, part), part, data.signature, task, np.dtype(dtype))
        _demand(bool(data.digests), "digests: none")
        _demand(bool(data.notes), "notes: none")
    _check_seed(spec, task)
    if distinct:
        _check_distinct(prepare(spec, task, seed=0, dtype="float64"))
    if isinstance(spec, Normalized):
        _check_normalization(spec, task)


def _demand(is_so: bool, message: str) -> None:
    if not is_so:
        raise AssertionError(message)


def _check_part(
    split: Split, part: str, needs: Signature, task: Task, dtype: np.dtype[Any]
) -> None:
    """Shapes, dtypes and ranges of one part."""
    count = len(split)
    x = split.x
    _demand(count > 0, f"{part}: no examples")
    _demand(x.shape == (count, *needs.input.shape), f"{part}.x: shape {x.shape}")
    _demand(x.flags.c_contiguous, f"{part}.x: not contiguous")
    if needs.input.vocabulary is None:
        _demand(x.dtype == dtype, f"{part}.x: {x.dtype}, not {dtype}")
        _demand(bool(np.isfinite(x).all()), f"{part}.x: not finite")
    else:
        _check_integers(x, needs.input.vocabulary, f"{part}.x")
    y = split.y
    match task:
        case "classification":
            steps = needs.input.shape[:1] if needs.per_step else ()
            _demand(y.shape == (count, *steps), f"{part}.y: shape {y.shape}")
            _check_integers(y, needs.outputs, f"{part}.y")
        case "binary":
            _demand(needs.outputs == 1, "a binary task has one output")
            _demand(y.shape == (count, 1), f"{part}.y: shape {y.shape}")
            _demand(y.dtype == dtype, f"{part}.y: {y.dtype}, not {dtype}")
            _demand(set(np.unique(y)) == {0.0, 1.0}, f"{part}.y: not both 0 and 1")
        case "regression":
            _demand(y.shape == (count, needs.outputs), f"{part}.y: shape {y.shape}")
            _demand(y.dtype == dtype, f"{part}.y: {y.dtype}, not {dtype}")
            _demand(bool(np.isfinite(y).all()), f"{part}.y: not finite")
        case _:
            raise NotImplementedError(task)


def _check_integers(values: Array, count: int, what: str) -> None:
    """Tokens or classes: int32, from 0 to ``count - 1``."""
    _demand(values.dtype == np.int32, f"{what}: {values.dtype}, not int32")
    _demand(values.min() >= 0, f"{what}: {values.min()} is negative")
    _demand(values.max() < count, f"{what}: {values.max()} where there are {count}")


def _check_seed(spec: DataSet, task: Task) -> None:
    first, again, other = (prepare(spec, task, seed=seed, dtype="float32") for seed in (3, 3, 4))
    _demand(_same(first, again), "the same seed gives other arrays")
    _demand(first.digests == again.digests, "the same seed gives other digests")
    if spec.ordered:
        _demand(_same(first, other), "ordered, but the parts change with the seed")
    else:
        _demand(not _same(first, other), "another seed gives the same arrays")


def _same(a: Data, b: Data) -> bool:
    return all(
        np.array_equal(getattr(a, part).x, getattr(b, part).x)
        and np.array_equal(getattr(a, part).y, getattr(b, part).y)
        for part in PARTS
    )


def _check_distinct(data: Data) -> None:
    rows = [row.tobytes() for part in PARTS for row in getattr(data, part).x]
    _demand(len(set(rows)) == len(rows), f"{len(rows) - len(set(rows))} examples occur again")


def _check_normalization(spec: Normalized, task: Task) -> None:
    """The training part is normalized by its own figures, the others by the same."""
    data = _prepared(spec, task, normalize=True)
    axes = None if spec.one_scale else 0
    x = data.train.x
    _demand(bool(np.all(np.abs(x.mean(axis=axes)) < _ROUNDING)), "train.x: the mean is not 0")
    deviation = x.std(axis=axes)
    # a feature that never changes has no deviation to divide by, and becomes 0
    is_normal = np.isclose(deviation, 1, rtol=0, atol=_ROUNDING) | (deviation == 0)
    _demand(bool(np.all(is_normal)), "train.x: the deviation is not 1")
    own = np.max(np.abs(data.test.x.mean(axis=axes)))
    _demand(own > 1e-9, "test.x: normalized by its own figures")
    raw = _prepared(spec, task, normalize=False)
    _demand(not np.array_equal(raw.train.x, x), "normalize: false changes nothing")


def _prepared(spec: Normalized, task: Task, *, normalize: bool) -> Data:
    changed = spec.model_copy(update={"normalize": normalize})
    assert isinstance(changed, DataSet)
    return prepare(changed, task, seed=0, dtype="float64")
