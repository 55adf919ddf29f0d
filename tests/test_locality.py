"""The count of touched files, on histories that the test makes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchmarks.locality import PROMISES, ROOT, Change, broken, changes, kind_of, mentions

BACKENDS = ("torch", "tensorflow", "keras")
LAYER = (
    "nncompare/spec/layers/normalization.py",
    "nncompare/numerics/reference/normalization.py",
    *(f"nncompare/backends/{name}/layers/normalization.py" for name in BACKENDS),
    "nncompare/testing/cases.py",
    "CHANGELOG.md",
)
OPTIMIZER = (
    "nncompare/spec/training.py",
    "nncompare/numerics/updates.py",
    *(f"nncompare/backends/{name}/optimizers.py" for name in BACKENDS),
    "nncompare/testing/cases.py",
    "CHANGELOG.md",
)
DATA_SET = ("nncompare/data/iris.py", "tests/data/test_iris.py", "CHANGELOG.md")
COMMAND = (
    "nncompare/studies/count/__init__.py",
    "nncompare/studies/count/command.py",
    "nncompare/cli/__init__.py",
    "tests/studies/count/test_command.py",
    "CHANGELOG.md",
)
BACKEND = (
    "nncompare/backends/jax/backend.py",
    "nncompare/backends/jax/layers/linear.py",
    "nncompare/spec/runtimes.py",
    "pyproject.toml",
    "CHANGELOG.md",
)
NEW = {"nncompare/data/iris.py", *COMMAND[:2], *BACKEND[:2]}

Commit = Callable[[Mapping[str, str]], str]


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """Writes files, commits them and returns the commit's name."""

    def git(*arguments: str) -> str:
        own = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *own, *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def write_and_commit(files: Mapping[str, str]) -> str:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git("add", "-A")
        git("commit", "-q", "-m", "a change")
        return git("rev-parse", "HEAD")

    git("init", "-q")
    write_and_commit({"README.md": "", "CHANGELOG.md": "", "nncompare/cli/__init__.py": "a\n" * 9})
    return write_and_commit


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("layer", LAYER),
        ("optimizer", OPTIMIZER),
        ("data set", DATA_SET),
        ("command", COMMAND),
        ("backend", BACKEND),
    ],
)
def test_a_change_within_its_promise(kind: str, paths: tuple[str, ...]) -> None:
    found = [Change(path=path, is_new=path in NEW, lines=1) for path in paths]
    assert kind_of(found) == kind
    assert broken(kind, found) == []
    # what is written from the code needs no hand
    assert broken(kind, [*found, Change(path="docs/configuration.md", lines=9)]) == []
    # a room of somebody else does
    (reason,) = broken(kind, [*found, Change(path="nncompare/worker/gate.py")])[:1]
    assert reason.startswith("nncompare/worker/gate.py: ")


def test_every_promise_is_tried_above() -> None:
    assert set(PROMISES) == {"layer", "optimizer", "data set", "command", "backend"}


def test_one_file_too_many() -> None:
    found = [Change(path=path) for path in (*LAYER, "nncompare/backends/torch/native.py")]
    assert broken("layer", found) == ["8 files, promised are 7"]


def test_a_command_has_one_folder_and_one_entry() -> None:
    found = [Change(path=path, lines=5) for path in COMMAND]
    assert broken("command", found) == ["5 lines of the room 'commands', promised are 4"]
    two = [Change(path=f"nncompare/studies/{name}/command.py") for name in ("count", "run")]
    assert broken("command", two) == [
        "2 folders: nncompare/studies/count, nncompare/studies/run; promised is one"
    ]


def test_a_commit_is_compared_with_its_parent(tmp_path: Path, commit: Commit) -> None:
    first = commit(dict.fromkeys(DATA_SET, "one\ntwo\n"))
    second = commit({"nncompare/data/iris.py": "one\nthree\nfour\n"})
    found = changes(tmp_path, first)
    assert [change.path for change in found] == sorted(DATA_SET)
    assert {change.path for change in found if change.is_new} == {*DATA_SET} - {"CHANGELOG.md"}
    assert all(change.lines == 2 for change in found)
    assert kind_of(found) == "data set"
    assert changes(tmp_path, second) == [Change(path="nncompare/data/iris.py", lines=2)]
    both = changes(tmp_path, f"{first}^..{second}")
    assert [change.lines for change in both] == [2, 3, 2]


def test_the_working_tree_counts_files_that_git_does_not_know(
    tmp_path: Path, commit: Commit
) -> None:
    commit({".gitignore": "ignored\n"})
    assert changes(tmp_path, None) == []
    (tmp_path / "README.md").write_text("a line\n")
    (tmp_path / "ignored").write_text("a line\n")
    (tmp_path / "nncompare/data").mkdir()
    (tmp_path / "nncompare/data/iris.py").write_text("a\nb\n")
    assert changes(tmp_path, None) == [
        Change(path="README.md", lines=1),
        Change(path="nncompare/data/iris.py", is_new=True, lines=2),
    ]


def test_a_change_of_no_kind(commit: Commit) -> None:
    assert kind_of([Change(path="README.md"), Change(path="nncompare/data/iris.py")]) is None


def test_a_name_is_looked_for_as_a_whole_word(tmp_path: Path) -> None:
    package = tmp_path / "nncompare"
    for name, text in {
        "spec/layers/a.py": 'type: Literal["relu"]',
        "worker/gate.py": "if relu: pass",
        "worker/other.py": "leaky_relu, torch.relu",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    assert mentions("relu", package) == {
        "layer": ["nncompare/spec/layers/a.py"],
        "package": ["nncompare/worker/gate.py"],
    }


def test_this_repository_is_where_the_paths_lead() -> None:
    assert mentions("layer_norm", ROOT / "nncompare")["layer"] == [
        "nncompare/spec/layers/normalization.py"
    ]
