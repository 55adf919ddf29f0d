"""``nncompare doctor``: what it finds, and the command that mends each problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nncompare.cli import call
from nncompare.data import mnist, text
from nncompare.errors import ExitCode
from nncompare.spec.runtimes import CATALOG
from tests.data import write_mnist
from tests.running import CONTROL, THREE, strict


@pytest.fixture(autouse=True)
def _empty_cache(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (mnist, text):
        monkeypatch.setattr(module, "cache_folder", lambda: tiny / "cache")


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["doctor"]) == 0
    output = capsys.readouterr()
    flat = " ".join(output.out.split())
    for name in THREE:
        assert f"versions {name} 1.2.3 device cpu: cpu (fake)" in flat
        assert f"asking {name} …" in output.err
    assert "mnist not downloaded; fix: nncompare data fetch mnist" in flat
    assert f"Ready: {', '.join(CATALOG)}." in flat
    assert "PROBLEM" not in flat
    assert CONTROL.search(output.out + output.err) is None


def test_each_problem_comes_with_its_fix(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, behave: Callable[..., None]
) -> None:
    behave(tensorflow="error")
    monkeypatch.setitem(CATALOG, "torch", replace(CATALOG["torch"], needs=("no_such_module",)))
    assert call(["doctor", "-q"]) == 0
    output = capsys.readouterr()
    flat = " ".join(output.out.split())
    assert 'PROBLEM not installed: no_such_module fix pip install "torch>=2.7"' in flat
    assert (
        "PROBLEM ImportError: libfake.so: no such file fix pip install --force-reinstall"
        ' "tensorflow>=2.19"' in flat
    )
    assert "Ready: keras, keras:xla." in flat
    assert output.err == ""


@pytest.mark.parametrize("output", [[], ["--json"]])
def test_nothing_usable_is_a_negative_answer(
    output: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in CATALOG:
        absent = replace(CATALOG[name], needs=("no_such_module",))
        monkeypatch.setitem(CATALOG, name, absent)
    assert call(["doctor", "-q", *output]) == ExitCode.NEGATIVE
    assert "Not ready: no runtime can be used" in "".join(capsys.readouterr())


def test_as_json(
    tiny: Path, capsys: pytest.CaptureFixture[str], behave: Callable[..., None]
) -> None:
    behave(keras="error")
    folder = write_mnist(tiny / "cache" / "mnist")
    assert call(["doctor", "--json"]) == 0
    output = capsys.readouterr()
    document = strict(output.out)
    assert (document["kind"], document["schema_version"]) == ("doctor", 1)
    assert document["usable"] == ["torch", "torch:compile", "tensorflow", "tensorflow:xla"]
    assert document["frameworks"][0]["devices"] == [{"kind": "cpu", "id": "cpu", "name": "fake"}]
    assert document["frameworks"][2]["problem"] == "ImportError: libfake.so: no such file"
    assert document["data"]["contents"][0] == {
        "name": "mnist",
        "state": f"ready, in {folder}",
        "fix": None,
    }
    assert document["system"]["usable_threads"] >= 1
    assert "Frameworks" in output.err


def test_a_wrong_data_folder_is_a_problem_and_no_crash(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NNCOMPARE_DATA_DIR", "/no/such/folder")
    assert call(["doctor"]) == 0
    flat = " ".join(capsys.readouterr().out.split())
    assert re.search(
        r"PROBLEM NNCOMPARE_DATA_DIR=/no/such/folder is not a folder .* fix correct it or unset it",
        flat,
    )
