"""What a shell is offered after TAB."""

from __future__ import annotations

import pytest

from nncompare.cli import call
from nncompare.cli.list_ import catalog
from nncompare.spec.data import DATA
from nncompare.spec.runtimes import CATALOG


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        *((f"{command} x.yaml -b ", [*CATALOG]) for command in ("run", "verify", "tune")),
        ("compare-conventions x.yaml --backend ", [*CATALOG]),
        ("gradcheck x**2 -b tensorflow", ["tensorflow", "tensorflow:xla"]),
        *(
            (f"{command} x.yaml --device ", ["auto", "cpu", "gpu", "tpu"])
            for command in ("run", "verify", "tune", "compare-conventions")
        ),
        ("init mine --data ", [*DATA]),
        ("init mine --data digits", ["digits", "digits_rows"]),
        ("data fetch ", [*DATA]),
        ("list ", [*catalog()]),
        ("list r", ["runtimes"]),
        ("verify x.yaml --dtype ", ["both", "float64"]),
        ("gradcheck x --dtype ", ["float64", "float32"]),
        ("gradcheck x --order ", ["1", "2"]),
    ],
)
def test_offers_the_words_that_may_stand_there(
    line: str,
    offered: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = f"nncompare {line}"
    monkeypatch.setenv("_NNCOMPARE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit) as ended:
        call([])
    assert ended.value.code == 0
    assert capsys.readouterr().out.split() == offered


def test_a_shell_that_shows_them_gets_titles(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_NNCOMPARE_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "nncompare run x.yaml -b torch")
    with pytest.raises(SystemExit):
        call([])
    assert CATALOG["torch"].title in capsys.readouterr().out
