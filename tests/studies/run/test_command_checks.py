"""``nncompare run`` before it trains: the dry run, and data that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nncompare.cli import call
from nncompare.data import mnist, text
from nncompare.spec.runtimes import CATALOG
from tests.data import write_mnist
from tests.running import files, strict


class TestDryRun:
    def test_says_what_would_be_done_and_does_nothing(
        self, tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = files(tiny)
        assert call(["run", "tiny.yaml", "--dry-run", "--output", "new/place"]) == 0
        output = capsys.readouterr().out
        # 1,797 digits: 359 for the test, a fifth of the rest for validation, 1,150 to train on in
        # batches of 128
        for words in (
            "27 per runtime: 3 epochs of 9",
            "train 1,150",
            "a new folder in new/place",
            "nothing was trained",
        ):
            assert words in output
        assert files(tiny) == before

    def test_as_json(self, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert call(["run", "tiny.yaml", "--dry-run", "--json", "-b", "torch:compile"]) == 0
        document = strict(capsys.readouterr().out)
        assert (document["kind"], document["steps_per_epoch"], document["parameters"]) == (
            "plan",
            9,
            64 * 8 + 8 + 90,
        )
        (row,) = document["runtimes"]
        assert (row["runtime"], row["missing"]) == ("torch:compile", None)

    def test_a_missing_backend_is_told_with_the_code_of_the_run(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(CATALOG, "keras", replace(CATALOG["keras"], needs=("no_such_module",)))
        assert call(["run", "tiny.yaml", "--dry-run"]) == 3
        output = capsys.readouterr().out
        assert (
            'PROBLEM not installed: no_such_module; pip install "keras>=3.10" "tensorflow>=2.19"'
            in output
        )
        assert "Cannot be started: keras; the others would run." in output

    def test_downloads_nothing(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mnist, "cache_folder", lambda: tiny / "cache")
        monkeypatch.setattr(mnist, "download", lambda *_, **__: pytest.fail("a download"))
        assert call(["run", "tiny.yaml", "data={name: mnist}", "--dry-run"]) == 0
        output = capsys.readouterr().out
        assert "mnist: would be downloaded first" in output
        assert "steps      n/a: the number of examples is known after the download" in output


class TestBadData:
    """The file is fine, the data are not: exit 2, a message, nothing written."""

    def refused(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        before = files(Path.cwd())
        assert call(["run", "tiny.yaml", *arguments]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert "Traceback" not in output.err
        assert files(Path.cwd()) == before
        return output.err

    @pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
    @pytest.mark.parametrize(
        ("damage", "words"),
        [(lambda data: data[:-7], "train-images"), (lambda data: b"\1" + data[1:], "train-images")],
    )
    def test_damaged_files(
        self,
        damage: Callable[[bytes], bytes],
        words: str,
        dry: list[str],
        tiny: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        folder = write_mnist(tiny / "mnist", packed=False)
        path = folder / "train-images-idx3-ubyte"
        path.write_bytes(damage(path.read_bytes()))
        assert words in self.refused(capsys, f"data={{name: mnist, path: {folder}}}", *dry)

    @pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
    def test_a_wrong_digest_in_the_cache(
        self,
        dry: list[str],
        tiny: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        write_mnist(tiny / "cache" / "mnist")
        monkeypatch.setattr(mnist, "cache_folder", lambda: tiny / "cache")
        message = self.refused(capsys, "data={name: mnist}", *dry)
        for words in (
            "train-images-idx3-ubyte.gz in the cache is damaged: SHA-256 ",
            "nncompare data fetch mnist",
        ):
            assert words in message

    def test_a_text_that_is_not_there(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(text, "cache_folder", lambda: tiny / "cache")
        changes = ("data={name: text}", "model={family: rnn, embedding: 4, hidden: 4}")
        assert "nncompare data fetch text" in self.refused(capsys, *changes)

    def test_no_network_and_no_files(
        self, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tiny / "cache" / "mnist").mkdir(parents=True)
        monkeypatch.setattr(mnist, "cache_folder", lambda: tiny / "cache")
        monkeypatch.setattr(
            mnist, "MIRRORS", ("http://127.0.0.1:9/one/", "http://127.0.0.1:9/two/")
        )
        message = self.refused(capsys, "data={name: mnist}")
        for words in (
            "from http://127.0.0.1:9/one/",
            "http://127.0.0.1:9/two/",
            "data.name=digits",
        ):
            assert words in message

    def test_a_task_that_does_not_fit(self, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "task" in self.refused(capsys, "task=regression")

    @pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
    def test_a_file_where_results_belong(
        self, dry: list[str], tiny: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tiny / "taken").write_text("")
        assert "--output DIR" in self.refused(capsys, "--output", "taken/inside", *dry)
