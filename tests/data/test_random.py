"""``random``."""

from __future__ import annotations

from typing import Any

import pytest

from nncompare.data import prepare, signature
from nncompare.data.random import Random
from nncompare.errors import DataError
from nncompare.spec.data import Task
from nncompare.testing.data_set import check_data_set


def make(**fields: Any) -> Random:
    return Random(name="random", **{"shape": (6,), "outputs": 4, "examples": 60, **fields})


@pytest.mark.parametrize("task", Random.tasks)
@pytest.mark.parametrize("shape", [(6,), (6, 3)], ids=str)
def test_it_keeps_the_promises_of_a_data_set(task: Task, shape: tuple[int, ...]) -> None:
    check_data_set(make(shape=shape), task)


def test_its_tokens_keep_them_too() -> None:
    check_data_set(make(vocabulary=9, outputs=3), "classification", distinct=False)


@pytest.mark.parametrize("shape", [(2**30, 2**30), (2**20, 2**20)], ids=str)
def test_what_no_memory_holds_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"data: random does not fit into memory .*make it smaller"):
        prepare(make(shape=shape), "classification", seed=0, dtype="float32")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outputs": 1}, "data.outputs: 1 class.*task: binary"),
        ({"shape": (2, 3), "vocabulary": 4}, r"data.shape: \[2, 3\].*one axis"),
    ],
)
def test_impossible_settings_are_refused_early(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        signature(make(**fields), "classification")


def test_too_large_for_memory_is_a_data_error() -> None:
    spec = make(shape=(10**6, 10**5), examples=10**6)
    with pytest.raises(DataError, match="random does not fit into memory"):
        prepare(spec, "regression", seed=0, dtype="float32")
