"""``check_data_set`` passes a right data set and fails each wrong one, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from nncompare.data.base import Data, Signature, Split, TensorSpec, digest
from nncompare.data.splits import split_pool
from nncompare.data.tables import scaled_features
from nncompare.numerics.keys import generator
from nncompare.spec.data import DATA, DataSet, Normalized, PooledDataSet, Task
from nncompare.testing.data_set import check_data_set


class Table(PooledDataSet, Normalized):
    """Right: numbers in a table, for every task."""

    tasks = ("classification", "binary", "regression")
    title = "a table"
    name: Literal["table_of_tests"] = "table_of_tests"

    def signature(self, task: Task) -> Signature:
        return Signature(input=TensorSpec((3,)), outputs=1 if task == "binary" else 2)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        source = generator(0, "table")
        x = 5 + source.standard_normal((90, 3))
        y = {
            "classification": np.arange(90, dtype=np.int32) % 2,
            "binary": (np.arange(90) % 2).astype(float).reshape(-1, 1),
            "regression": source.standard_normal((90, 2)),
        }[task]
        rows = split_pool(self, 90, seed)
        features, note = scaled_features(x, rows.train, normalize=self.normalize)
        return Data(
            **rows.take(features, y),
            signature=self.signature(task),
            digests={"table": digest(x)},
            notes=(note,),
        )


class Changed(Table):
    """The right data set, made wrong by a subclass."""

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        return self.change(super().prepare(task, seed=seed, dtype=dtype))

    def change(self, data: Data) -> Data:
        return replace(data, train=self.change_part(data.train))

    def change_part(self, split: Split) -> Split:
        return split


class Ordered(Table):
    """Says that its parts do not depend on the seed."""

    ordered = True


class Seedless(Table):
    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        return super().prepare(task, seed=0, dtype=dtype)


class Restless(Table):
    calls: ClassVar[Iterator[int]] = count()

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        return super().prepare(task, seed=next(self.calls), dtype=dtype)


class WrongShape(Changed):
    def change_part(self, split: Split) -> Split:
        return Split(x=split.x[:, :2], y=split.y)


class WideTargets(Changed):
    def change_part(self, split: Split) -> Split:
        return Split(x=split.x, y=np.stack([split.y, split.y], axis=-1))


class NotFinite(Changed):
    def change_part(self, split: Split) -> Split:
        x = split.x.copy()
        x[0, 0] = np.nan
        return Split(x=x, y=split.y)


class LongLabels(Changed):
    def change_part(self, split: Split) -> Split:
        return Split(x=split.x, y=split.y.astype(np.int64))


class ThirdClass(Changed):
    def change_part(self, split: Split) -> Split:
        return Split(x=split.x, y=split.y + np.int32(1))


class OneSided(Changed):
    def change_part(self, split: Split) -> Split:
        return Split(x=split.x, y=np.ones_like(split.y))


class Again(Changed):
    def change(self, data: Data) -> Data:
        return replace(data, validation=data.train)


class Shifted(Changed):
    def change_part(self, split: Split) -> Split:
        return Split(x=split.x + 0.1, y=split.y)


class Stretched(Changed):
    def change_part(self, split: Split) -> Split:
        return Split(x=split.x * 2, y=split.y)


class ByItsOwnFigures(Changed):
    def change(self, data: Data) -> Data:
        x = data.test.x
        return replace(data, test=Split(x=x - x.mean(axis=0), y=data.test.y))


class Empty(Changed):
    def change_part(self, split: Split) -> Split:
        return Split(x=split.x[:0], y=split.y[:0])


class Unrecorded(Changed):
    def change(self, data: Data) -> Data:
        return replace(data, digests={})


class Silent(Changed):
    def change(self, data: Data) -> Data:
        return replace(data, notes=())


class OtherSignature(Changed):
    def change(self, data: Data) -> Data:
        return replace(data, signature=Signature(input=TensorSpec((3,)), outputs=7))


class Deaf(Table):
    """Normalizes whatever the file says."""

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        return Table(normalize=True).prepare(task, seed=seed, dtype=dtype)


def check(cls: type[DataSet], task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA, "table_of_tests", cls)
    check_data_set(cls(name="table_of_tests"), task)


@pytest.mark.parametrize("task", Table.tasks)
def test_a_right_data_set_passes(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    check(Table, task, monkeypatch)


@pytest.mark.parametrize(
    ("cls", "task", "words"),
    [
        (WrongShape, "classification", r"train\.x: shape \(58, 2\)"),
        (WideTargets, "classification", r"train\.y: shape \(58, 2\)"),
        (WideTargets, "regression", r"train\.y: shape"),
        (NotFinite, "regression", r"train\.x: not finite"),
        (LongLabels, "classification", r"train\.y: int64, not int32"),
        (ThirdClass, "classification", r"train\.y: 2 where there are 2"),
        (OneSided, "binary", r"train\.y: not both 0 and 1"),
        (Seedless, "regression", "another seed gives the same arrays"),
        (Restless, "regression", "the same seed gives other arrays"),
        (Ordered, "regression", "the parts change with the seed"),
        (Again, "regression", "58 examples occur again"),
        (Shifted, "regression", r"train\.x: the mean is not 0"),
        (Stretched, "regression", r"train\.x: the deviation is not 1"),
        (ByItsOwnFigures, "regression", r"test\.x: normalized by its own figures"),
        (Empty, "regression", r"train: no examples"),
        (Unrecorded, "regression", "digests: none"),
        (Silent, "regression", "notes: none"),
        (OtherSignature, "regression", "two different signatures"),
        (Deaf, "regression", "normalize: false changes nothing"),
    ],
)
def test_a_wrong_data_set_fails(
    cls: type[DataSet], task: Task, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError, match=words):
        check(cls, task, monkeypatch)


def test_a_class_that_the_registry_does_not_know_fails() -> None:
    with pytest.raises(AssertionError, match="table_of_tests is not that of its class"):
        check_data_set(Table(), "regression")
