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
    """``assert``, which a third party's ``python -O`` would leave out."""
    if not is_so:
        raise AssertionError(message)


def _check_part(
    split: Split, part: str, needs: Signature, task: Task, dtype: np.dtype[Any]
) -> None:
    """Shapes, dtypes and ranges of one part."""
    count = len(split)
    _demand(count > 0, f"{part}: no examples")
    _check_inputs(split.x, f"{part}.x", (count, *needs.input.shape), needs, dtype)
    _check_targets(split.y, f"{part}.y", count, needs, task, dtype)


def _check_inputs(
    x: Array, what: str, shape: tuple[int, ...], needs: Signature, dtype: np.dtype[Any]
) -> None:
    """Numbers in the experiment's dtype, or tokens of the vocabulary."""
    _demand(x.shape == shape, f"{what}: shape {x.shape}")
    # a backend hands the memory to its framework as it is
    _demand(x.flags.c_contiguous, f"{what}: not contiguous")
    if needs.input.vocabulary is None:
        _check_numbers(x, dtype, what)
    else:
        _check_integers(x, needs.input.vocabulary, what)


def _check_targets(
    y: Array, what: str, count: int, needs: Signature, task: Task, dtype: np.dtype[Any]
) -> None:
    """What the loss of the task compares the outputs with."""
    match task:
        case "classification":
            # one class an example, or one at every step of it
            steps = needs.input.shape[:1] if needs.per_step else ()
            _demand(y.shape == (count, *steps), f"{what}: shape {y.shape}")
            _check_integers(y, needs.outputs, what)
        case "binary":
            _demand(needs.outputs == 1, "a binary task has one output")
            _demand(y.shape == (count, 1), f"{what}: shape {y.shape}")
            _check_numbers(y, dtype, what)
            # a part with one of them alone has no AUC
            _demand(set(np.unique(y)) == {0.0, 1.0}, f"{what}: not both 0 and 1")
        case "regression":
            _demand(y.shape == (count, needs.outputs), f"{what}: shape {y.shape}")
            _check_numbers(y, dtype, what)
        case _:
            raise NotImplementedError(task)


def _check_numbers(values: Array, dtype: np.dtype[Any], what: str) -> None:
    """Finite numbers of the experiment's dtype."""
    _demand(values.dtype == dtype, f"{what}: {values.dtype}, not {dtype}")
    _demand(bool(np.isfinite(values).all()), f"{what}: not finite")


def _check_integers(values: Array, count: int, what: str) -> None:
    """Tokens or classes: int32, from 0 to ``count - 1``."""
    _demand(values.dtype == np.int32, f"{what}: {values.dtype}, not int32")
    _demand(values.min() >= 0, f"{what}: {values.min()} is negative")
    _demand(values.max() < count, f"{what}: {values.max()} where there are {count}")


def _check_seed(spec: DataSet, task: Task) -> None:
    """The seed, and nothing else, decides what is generated and who is in which part."""
    first = prepare(spec, task, seed=3, dtype="float32")
    again = prepare(spec, task, seed=3, dtype="float32")
    other = prepare(spec, task, seed=4, dtype="float32")
    _demand(_same(first, again), "the same seed gives other arrays")
    _demand(first.digests == again.digests, "the same seed gives other digests")
    if spec.ordered:
        # consecutive parts are cut at fixed places
        _demand(_same(first, other), "ordered, but the parts change with the seed")
    else:
        _demand(not _same(first, other), "another seed gives the same arrays")


def _same(a: Data, b: Data) -> bool:
    """Whether all parts hold the same arrays."""
    for part in PARTS:
        mine = getattr(a, part)
        yours = getattr(b, part)
        if not np.array_equal(mine.x, yours.x) or not np.array_equal(mine.y, yours.y):
            return False
    return True


def _check_distinct(data: Data) -> None:
    """No example is in two parts, where a model would have seen what it is tested with."""
    rows: list[bytes] = []
    for part in PARTS:
        rows += [row.tobytes() for row in getattr(data, part).x]
    repeated = len(rows) - len(set(rows))
    _demand(repeated == 0, f"{repeated} examples occur again")


def _check_normalization(spec: Normalized, task: Task) -> None:
    """The training part is normalized by its own figures, the others by the same."""
    data = _prepared(spec, task, normalize=True)
    x = data.train.x
    # feature by feature, or all of them as one, such as the grey of every pixel
    axes = None if spec.one_scale else 0
    mean = np.abs(x.mean(axis=axes))
    _demand(bool(np.all(mean < _ROUNDING)), "train.x: the mean is not 0")
    deviation = x.std(axis=axes)
    # a feature that never changes has no deviation to divide by, and becomes 0
    is_normal = np.isclose(deviation, 1, rtol=0, atol=_ROUNDING) | (deviation == 0)
    _demand(bool(np.all(is_normal)), "train.x: the deviation is not 1")
    # by the training part's figures the others come close to 0, but not onto it
    own = np.max(np.abs(data.test.x.mean(axis=axes)))
    _demand(own > 1e-9, "test.x: normalized by its own figures")
    raw = _prepared(spec, task, normalize=False)
    _demand(not np.array_equal(raw.train.x, x), "normalize: false changes nothing")


def _prepared(spec: Normalized, task: Task, *, normalize: bool) -> Data:
    changed = spec.model_copy(update={"normalize": normalize})
    assert isinstance(changed, DataSet)
    return prepare(changed, task, seed=0, dtype="float64")
