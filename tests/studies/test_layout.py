"""Every study has the same files, so that who knows one knows all."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from nncompare import studies
from nncompare.cli import COMMANDS
from nncompare.studies import KINDS

ROOT = Path(studies.__file__).parent
USUAL = {"command", "api", "study", "record", "report", "progress"}
ABSENT = {
    "conventions": {"progress": "shows the progress of its two runs"},
    "gradcheck": {"progress": "says one line a runtime"},
    "doctor": {"progress": "says one line a framework"},
    "run/plan": {
        "command": "is `run --dry-run`",
        "progress": "takes no time",
    },
}
"""Study -> usual file that it does without -> why."""
STUDIES = sorted(
    str(path.parent.relative_to(ROOT)) for path in ROOT.glob("**/study.py") if path.parent != ROOT
)


def names_in(study: str) -> set[str]:
    """Modules and packages of a study."""
    entries = (ROOT / study).iterdir()
    return {
        path.stem
        for path in entries
        if path.name != "__init__.py" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }


def test_all_studies_are_seen() -> None:
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(STUDIES)
    assert len(STUDIES) >= 7


@pytest.mark.parametrize("study", STUDIES)
def test_has_the_usual_files(study: str) -> None:
    assert USUAL - names_in(study) == ABSENT.get(study, {}).keys()


@pytest.mark.parametrize("study", STUDIES)
def test_names_its_other_files_in_its_docstring(study: str) -> None:
    package = import_module(f"{studies.__name__}.{study.replace('/', '.')}")
    doc = package.__doc__ or ""
    assert [name for name in sorted(names_in(study) - USUAL) if f"``{name}``" not in doc] == []


def test_a_command_is_one_folder_and_one_line() -> None:
    homes = {command.module for command in COMMANDS.values()}
    wanted = {
        f"{studies.__name__}.{study}.command"
        for study in STUDIES
        if "command" not in ABSENT.get(study, {})
    }
    assert wanted <= homes
    assert {kind.study.replace(".", "/") for kind in KINDS.values()} <= set(STUDIES)
