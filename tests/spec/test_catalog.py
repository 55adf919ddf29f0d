"""The catalogs of names: filled late, open to plug-ins, unharmed by broken ones."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import pytest

from nncompare.data.base import Data
from nncompare.spec import data, runtimes
from nncompare.spec.catalog import OWN, Catalog, UnusableError
from nncompare.spec.data import DataSet, Signature, Task
from nncompare.spec.runtimes import Runtime


def check_word(value: object) -> tuple[str, str]:
    if not isinstance(value, str):
        raise UnusableError(f"it gives {value!r}")
    return value, value.upper()


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The entry points that are installed."""
    found: list[Any] = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found)
    return found


def point(name: str, load: Callable[[], object], origin: str = "some 1.0") -> Any:
    distribution, version = origin.split()
    dist = SimpleNamespace(name=distribution, version=version)
    return SimpleNamespace(name=name, dist=dist, load=load)


def words() -> Catalog[str]:
    return Catalog("group", shipped=lambda: {"own": "OWN"}, check=check_word)


def reasons(catalog: Catalog[Any]) -> dict[str, str]:
    return {plugin.name: plugin.reason for plugin in catalog.broken}


def test_shipped_entries_come_first_then_plugins_in_a_fixed_order(points: list[Any]) -> None:
    points += [
        point("late", lambda: "third", "zeta 2.0"),
        point("early", lambda: ["first", "second"], "alpha 0.3"),
    ]
    catalog = words()
    assert list(catalog) == ["own", "first", "second", "third"]
    assert catalog["second"] == "SECOND"
    assert [catalog.origin(name) for name in catalog] == [
        OWN,
        "alpha 0.3",
        "alpha 0.3",
        "zeta 2.0",
    ]
    assert catalog.broken == ()


def test_nothing_is_imported_before_the_first_look(points: list[Any]) -> None:
    loaded = []
    points.append(point("plugin", lambda: loaded.append(1) or "word"))
    catalog = words()
    assert not loaded
    assert "word" in catalog
    assert list(catalog) == ["own", "word"]
    assert loaded == [1], "once"


def test_a_broken_plugin_costs_its_row(points: list[Any]) -> None:
    def raises() -> object:
        raise ValueError("no\n  good")

    def leaves() -> object:
        raise SystemExit(3)

    points += [
        point("raises", raises),
        point("leaves", leaves),
        point("number", lambda: 3),
        point("clash", lambda: "own"),
        point("good", lambda: "word", "good 1.0"),
        point("again", lambda: "word", "later 1.0"),
    ]
    catalog = words()
    assert list(catalog) == ["own", "word"]
    assert catalog["own"] == "OWN"
    assert reasons(catalog) == {
        "raises": "ValueError: no good",
        "leaves": "SystemExit: 3",
        "number": "it gives 3",
        "clash": "the name 'own' is taken by nncompare",
        "again": "the name 'word' is taken by good 1.0",
    }


def test_a_damaged_environment_leaves_what_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(group: str) -> list[Any]:
        raise TypeError("a line without '='")

    monkeypatch.setattr(importlib.metadata, "entry_points", damaged)
    assert list(words()) == ["own"]


def test_a_plugin_that_asks_for_the_catalog_while_it_is_filled(points: list[Any]) -> None:
    catalog = words()
    points.append(point("eager", lambda: list(catalog)))
    assert list(catalog) == ["own"]
    assert "must import less" in reasons(catalog)["eager"]


GOOD = Runtime(name="mine", title="t", module="mine.backend", needs=(), install="mine")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda: "mine", "it gives 'mine', not a nncompare.spec.runtimes.Runtime"),
        (
            lambda: Runtime(name="My Own", title="t", module="m", needs=(), install="mine"),
            "the name 'My Own' is not letters",
        ),
        (
            lambda: Runtime(name="torch", title="t", module="m", needs=(), install="mine"),
            "the name 'torch' is taken by nncompare",
        ),
        (lambda: [GOOD, 7], "it gives 7, not a nncompare.spec.runtimes.Runtime"),
    ],
)
def test_what_a_runtime_must_be(
    points: list[Any], value: Callable[[], object], reason: str
) -> None:
    points.append(point("mine", value))
    catalog = Catalog("group", shipped=runtimes._shipped, check=runtimes._check)
    assert list(catalog) == [item.name for item in runtimes._SHIPPED]
    assert reason in reasons(catalog)["mine"]


class Coins(DataSet):
    """Heads or tails."""

    tasks = ("binary",)
    title = "coins"
    name: Literal["coins"]

    def signature(self, task: Task) -> Signature: ...
    def prepare(self, task: Task, *, seed: int, dtype: Any) -> Data: ...


class Nameless(Coins):
    name: str


class Abstract(DataSet):
    tasks = ("binary",)
    title = "abstract"
    name: Literal["abstract"]

    def signature(self, task: Task) -> Signature: ...


class Untitled(Coins):
    title: ClassVar[str] = ""
    name: Literal["untitled"]


class Taskless(Coins):
    tasks: ClassVar[Any] = ("sorting",)
    name: Literal["taskless"]


class Digits(Coins):
    name: Literal["digits"]


class OfAFile(Coins):
    download = "of_a_file"
    name: Literal["of_a_file"]
    path: str


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (dict, "it gives <class 'dict'>, not a subclass of nncompare.data.DataSet"),
        (Coins.model_construct(name="coins"), "not a subclass of nncompare.data.DataSet"),
        (Nameless, 'Nameless does not say its name: name: Literal["…"]'),
        (Abstract, "Abstract lacks prepare"),
        (Untitled, "Untitled.title is not set"),
        (Taskless, "Taskless.tasks: ('sorting',). Allowed: classification"),
        (OfAFile, "OfAFile.download is set, but not every key has a default"),
        (Digits, "the name 'digits' is taken by nncompare"),
    ],
)
def test_what_a_data_set_must_be(points: list[Any], value: object, reason: str) -> None:
    points.append(point("mine", lambda: value))
    catalog = Catalog("group", shipped=data._shipped, check=data._check)
    assert list(catalog) == list(data.DATA)
    assert reason in reasons(catalog)["mine"]


def test_a_right_data_set_is_taken(points: list[Any]) -> None:
    points.append(point("mine", lambda: Coins))
    catalog = Catalog("group", shipped=data._shipped, check=data._check)
    assert catalog["coins"] is Coins
    assert catalog.origin("coins") == "some 1.0"


def test_every_shipped_data_set_is_what_a_plugin_must_be() -> None:
    for name, cls in data.DATA.items():
        assert data._check(cls) == (name, cls)
