"""Every block and every setting of the README and the pages, as it is written there.

A command line is carried out up to the place where workers would start, and to its end where it
needs none; ``slow``: the README's are carried out whole, with real workers.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import nncompare
from nncompare.cli import call
from nncompare.cli.init import text as starter
from nncompare.config.load import load
from nncompare.data import signature
from nncompare.errors import ExitCode, NncompareError
from nncompare.studies.tune.options import RESUMABLE
from tests.data import mnist_arrays, write_mnist

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:data|model|train|measure|tune)(?:\.[\w.]+)?: [^`]+)`")
RESULT = re.compile(r"results/[\w.…-]+")
LANGUAGES = {"sh", "console", "text", "yaml", "python", "toml"}
BASE = {"data": {"name": "digits"}, "model": {"family": "mlp"}}


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        content = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(content):
            line = content[: match.start()].count("\n") + 1
            text = textwrap.dedent(match.group(3))
            block = Block(page.name, line, match.group(2), text)
            if not languages or block.language in languages:
                found.append(block)
    return found


def commands(block: Block) -> Iterator[str]:
    """The command lines of a block, comments and continuations joined away."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        if block.language == "sh" and line.strip():
            yield line
        elif line.startswith("$ "):
            yield line.removeprefix("$ ")


def lines() -> list[Any]:
    """Every command line of every page."""
    found = []
    for block in blocks("sh", "console"):
        for number, command in enumerate(commands(block)):
            found.append(pytest.param(command, id=f"{block}+{number}"))
    return found


def test_every_block_says_what_it_is() -> None:
    assert len(blocks()) > 50
    assert [str(block) for block in blocks() if block.language not in LANGUAGES] == []


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_an_experiment_is_valid(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(block.text, encoding="utf-8")
    load(path, signature_of=signature)


def test_the_file_under_init_is_what_init_writes() -> None:
    (written,) = [block.text for block in blocks("yaml") if block.page == "README.md"]
    assert written == starter("mine", "digits", "mine.yaml")


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_project_file_can_be_read(block: Block) -> None:
    assert tomllib.loads(block.text)


def settings() -> list[Any]:
    """Every setting that a page names in its text, ``model: {layers: [...]}``."""
    found = []
    for page in PAGES:
        for span in SPAN.findall(page.read_text(encoding="utf-8")):
            # what is left out stands for anything
            if "…" not in span and not span.endswith(":"):
                found.append(pytest.param(span, id=f"{page.name}: {span[:60]}"))
    return found


@pytest.mark.parametrize("setting", settings())
def test_a_setting_in_the_text_is_valid(setting: str, tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    name, _, text = setting.partition(": ")
    value = YAML(typ="safe", pure=True).load(text)
    mapping: dict[str, Any] = dict(BASE)
    if name in ("data", "model", "train", "measure"):
        mapping[name] = value
        override = []
    elif isinstance(value, (list, dict)) and not name.startswith("tune."):
        # a dimension of a search
        parameters = {name: value}
        mapping["tune"] = {"parameters": parameters}
        override = []
    else:
        mapping["tune"] = {"parameters": {"model.dropout": [0.1, 0.2]}}
        override = [f"{name}={text}"]
    path = tmp_path / "experiment.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(mapping, file)
    load(path, override, signature_of=signature)


def test_what_can_be_changed_on_resume_is_listed() -> None:
    page = (ROOT / "docs/tune.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"What can be changed on resume is(.*?)\. Anything", page, re.DOTALL)
    assert set(re.findall(r"`([\w.]+)`", sentence)) == set(RESUMABLE)


def test_every_exit_code_has_a_row() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    codes = re.findall(r"^\| (\d+) \|", page, re.MULTILINE)
    assert codes == [str(int(code)) for code in ExitCode]


# --- command lines -------------------------------------------------------------------------------


class Reached(NncompareError):
    """Workers would start now: the command line has been read and checked."""

    exit_code = ExitCode.OK


STUDIES = {
    "run": "run",
    "verify": "verify",
    "tune": "tune",
    "compare_conventions": "conventions",
    "gradcheck": "gradcheck",
}
ELSEWHERE = ("git", "coverage", "pytest")
"""Programs that are not nncompare's."""
EXAMPLES = {"count", "iris", "numpy"}
"""The command, the data set and the runtime that a page shows how to add."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a reader has it, with a small MNIST; no study starts a worker."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    data = write_mnist(tmp_path / "data" / "mnist", mnist_arrays(train=600, test=60)).parent
    monkeypatch.setenv("NNCOMPARE_DATA_DIR", str(data))
    (tmp_path / "mine.yaml").write_text(
        starter("mine", "digits", "mine.yaml")
        + "tune: {parameters: {train.optimizer.lr: {min: 1e-4, max: 1e-2, log: true}}}\n"
    )
    (tmp_path / "flowers.yaml").write_text(starter("flowers", "digits", "flowers.yaml"))

    def reached(*arguments: Any, **options: Any) -> Any:
        raise Reached

    for function, study in STUDIES.items():
        monkeypatch.setattr(import_module(f"nncompare.studies.{study}.study"), function, reached)
    monkeypatch.setattr(import_module("nncompare.studies.tune.study"), "resume", reached)
    return tmp_path


def stored_search(place: Path) -> str:
    folder = place / "results" / "tune-mnist-mlp-20261125-153308-d008138a"
    folder.mkdir(parents=True)
    example = ROOT / "tests/fixtures/results/tune_v1.json"
    (folder / "result.json").write_bytes(example.read_bytes())
    return f"results/{folder.name}"


def _check_nncompare(words: list[str], place: Path) -> None:
    # the example commands and data sets of the pages exist only while their page is followed
    if EXAMPLES & set(words):
        return
    if words[:2] == ["init", "mine"]:
        (place / "mine.yaml").unlink()
    folder = stored_search(place)
    assert call([RESULT.sub(folder, word) for word in words]) == 0


def _check_python(words: list[str], place: Path) -> None:
    module = words[1]
    assert import_module(module.split(".")[0])
    if module.startswith("benchmarks."):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def _check_make(words: list[str], place: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{words[0]}:.*##", makefile, re.MULTILINE)


def _check_pip(words: list[str], place: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    wanted = words[-1]
    # in the folder of a package of one's own
    if wanted == ".":
        return
    known = [f".[{extra}]" for extra in extras]
    assert wanted in known or [wanted] in extras.values()


PROGRAMS: dict[str, Callable[[list[str], Path], None]] = {
    "nncompare": _check_nncompare,
    "python": _check_python,
    "make": _check_make,
    "pip": _check_pip,
}


@pytest.mark.parametrize("line", lines())
def test_a_command_line_is_accepted(
    line: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(line, comments=True)
    words = list(itertools.dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words))
    program, *rest = words
    # its output, an error, is compared below
    if program in ELSEWHERE or "ln(x) + x^2" in words:
        return
    PROGRAMS[program](rest, place)


def test_the_errors_of_a_formula_look_as_printed(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = [block for block in blocks("console") if "ln(x)" in block.text]
    command, _, printed = block.text.partition("\n")
    assert call(shlex.split(command)[2:]) == 2
    said = capsys.readouterr().err.splitlines()
    for shown, line in zip(printed.splitlines(), said, strict=True):
        # a long list is cut
        assert line.startswith(shown.removesuffix("…"))


# --- Python --------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_can_be_read(block: Block) -> None:
    text = block.text
    # one entry of a table, one case of a match
    if text.lstrip().startswith('"') and not text.startswith('"""'):
        text = f"{{\n{text}\n}}"
    elif text.startswith("case "):
        text = f"def f():\n  match 0:\n{textwrap.indent(text, '    ')}"
    elif text.startswith("_layer_case("):
        text = f"[\n{text}\n]"
    compile(text, str(block), "exec")


def test_the_python_of_the_readme_runs(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With workers that train nothing, and a stored search in place of a new one."""
    from nncompare.studies.tune.api import Tuned

    (block,) = [block for block in blocks("python") if block.page == "README.md"]
    (tiny / "mine.yaml").write_text(starter("mine", "digits", "mine.yaml"))
    search = nncompare.read(ROOT / "tests/fixtures/results/tune_v1.json")
    assert isinstance(search, Tuned)
    asked: list[tuple[Any, ...]] = []

    def tune(*arguments: Any) -> Tuned:
        asked.append(arguments)
        return search

    monkeypatch.setattr(nncompare, "tune", tune, raising=False)
    exec(compile(block.text, str(block), "exec"), {})
    assert asked == [("configs/tune_mnist_mlp.yaml", "backends=[torch]")]


# --- as a reader does it -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", ["README.md", "native.md", "parity.md", "tune.md", "autodiff.md"])
def test_the_commands_of_a_page_run_with_real_workers(
    page: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the page's order, in one folder; MNIST is a small one, and nothing is installed."""
    shim = place / "bin" / "nncompare"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nncompare "$@"\n')
    shim.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    # the README's reader begins without a file
    if page == "README.md":
        (place / "mine.yaml").unlink()
    for block in blocks("sh", "python"):
        runs = block.page == page and (block.language == "sh" or "import " in block.text)
        if not runs:
            continue
        if block.language == "python":
            text = _at_hand(block.text, place)
            command = [sys.executable, "-c", text]
            subprocess.run(command, cwd=place, env=environment, check=True, timeout=900)
            continue
        for line in commands(block):
            program = shlex.split(line, comments=True)[0]
            foreign = program != "nncompare" and not program.startswith("NNCOMPARE_")
            if foreign or "postgresql://" in line:
                continue
            line = _at_hand(line, place).replace("/path/to/data", str(place / "data"))
            done = subprocess.run(
                ["bash", "-c", line], cwd=place, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def _at_hand(text: str, place: Path) -> str:
    """The text with the newest search in place of the one that the page names."""
    searches = sorted(place.glob("results/tune-mnist-mlp-*"), key=lambda path: path.stat().st_mtime)
    if not searches:
        return text
    return RESULT.sub(f"results/{searches[-1].name}", text)
