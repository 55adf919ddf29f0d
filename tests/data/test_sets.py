"""What concerns all data sets: that each is tested, that asking about them is light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from nncompare.data import fetch, prepare, signature
from nncompare.data.digits import Digits
from nncompare.errors import DataError
from nncompare.spec.data import DATA


@pytest.mark.parametrize("name", DATA)
def test_every_data_set_has_tests_beside_it(name: str) -> None:
    module = DATA[name].__module__.rpartition(".")[2]
    tests = Path(__file__).with_name(f"test_{module}.py").read_text(encoding="utf-8")
    assert "check_data_set(" in tests
    assert DATA[name].__name__ in tests


def test_a_task_that_does_not_fit_is_refused_early() -> None:
    digits = Digits(name="digits")
    words = "task: regression does not fit data digits.*classification"
    with pytest.raises(DataError, match=words):
        signature(digits, "regression")
    with pytest.raises(DataError, match=words):
        prepare(digits, "regression", seed=0, dtype="float32")


class Wrong(Digits):
    """Prepares something else."""

    name: Literal["wrong"]  # type: ignore[assignment]

    def prepare(self, *_: Any, **__: Any) -> Any:
        return {"x": 1}


def test_a_data_set_that_prepares_something_else_is_told_so() -> None:
    with pytest.raises(DataError, match=r"data: wrong prepares dict where a nncompare\.data\.Data"):
        prepare(Wrong(name="wrong"), "classification", seed=0, dtype="float32")


def test_fetch_says_when_nothing_is_downloaded() -> None:
    said: list[str] = []
    assert fetch("digits", report=said.append) is None
    assert "nothing to download" in said[0]
    with pytest.raises(DataError, match=r"no data set 'mnits'; did you mean 'mnist'\?"):
        fetch("mnits")


def test_asking_for_all_of_them_and_for_signatures_stays_light() -> None:
    code = (
        "import sys; from nncompare.data import signature; from nncompare.spec.data import DATA\n"
        "for name in ('digits', 'mnist'): signature(DATA[name](name=name), 'classification')\n"
        "print([name for name in ('sklearn', 'scipy', 'pooch', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
