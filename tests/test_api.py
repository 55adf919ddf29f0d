"""The Python API: ``import nncompare`` is light, and ``nncompare.run`` gives the figures of the
stored document.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from pathlib import Path

import pytest

import nncompare
from nncompare.errors import ConfigError, StoreError
from nncompare.records.folder import ResultFolder
from tests.running import THREE, stored

PUBLIC = [
    "Certificate",
    "Conventions",
    "Gradcheck",
    "NncompareError",
    "Result",
    "Run",
    "Tuned",
    "__version__",
    "compare_conventions",
    "gradcheck",
    "load",
    "read",
    "run",
    "tune",
    "verify",
]


def test_public_names() -> None:
    assert sorted(nncompare.__all__) == dir(nncompare) == PUBLIC
    for name in PUBLIC[1:]:
        assert getattr(nncompare, name) is not None
    tree = ast.parse(Path(nncompare.__file__).read_text(encoding="utf-8"))
    typed = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    homes = {alias.asname: node.module for node in typed for alias in node.names if alias.asname}
    assert homes.items() - nncompare._HOMES.items() == {("__version__", "nncompare.version")}
    assert nncompare._HOMES.items() <= homes.items()
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        nncompare.runn  # noqa: B018


def test_importing_it_imports_next_to_nothing() -> None:
    code = "import nncompare, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    names = set(done.stdout.split())
    assert "nncompare" in names
    assert (
        names & {"numpy", "pydantic", "rich", "typer", "sklearn", "torch", "tensorflow", "keras"}
        == set()
    )


def test_run_gives_the_stored_figures_and_the_tables(tiny: Path) -> None:
    run = nncompare.run("tiny.yaml", "train.seed=3", save_weights=False)
    assert run.complete
    assert run.folder is not None
    assert run.to_dict() == stored(tiny) == nncompare.read(run.folder).to_dict()
    assert run.result.experiment["train"]["seed"] == 3
    assert [row.runtime for row in run.runtimes] == list(THREE)
    assert run["keras"].final.test_accuracy == 0.5
    assert "Fastest: " in repr(run)
    assert "\x1b" not in repr(run)
    assert run._repr_html_().startswith('<div class="nncompare">')
    with pytest.raises(
        KeyError, match="no runtime 'jax' in this run; it has torch, tensorflow, keras"
    ):
        run["jax"]


def test_run_takes_a_loaded_experiment_and_need_not_store(tiny: Path) -> None:
    experiment = nncompare.load("tiny.yaml", "backends=[torch]")
    run = nncompare.run(experiment, output=None)
    assert (run.folder, len(run.runtimes)) == (None, 1)
    assert not (tiny / "results").exists()
    with pytest.raises(TypeError, match=r"load\(\)"):
        nncompare.run(experiment, "train.epochs=2")


def test_a_mistake_is_an_error_with_its_place(tiny: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.epoch"):
        nncompare.run("tiny.yaml", "train.epoch=3")
    assert not (tiny / "results").exists()


def test_what_cannot_be_stored_is_a_warning_and_no_loss(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: ResultFolder) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(ResultFolder, "publish", full)
    with pytest.warns(UserWarning, match="not stored: the disk is full"):
        run = nncompare.run("tiny.yaml", "backends=[torch]")
    assert (run.complete, run.folder) == (True, None)


class Terminal(io.StringIO):
    """Standard error as a terminal that redraws nothing."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("wanted", [True, False])
def test_it_shows_how_it_goes_where_someone_sees_it(
    wanted: bool, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        nncompare.run("tiny.yaml", "backends=[torch]", output=None, progress=wanted)
    assert ("torch: ok" in terminal.getvalue()) == wanted
    # nobody reads a pipe as it is written
    nncompare.run("tiny.yaml", "backends=[torch]", output=None)
    assert capsys.readouterr().err == ""
