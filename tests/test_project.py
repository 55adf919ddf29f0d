"""What the files around the code say about versions, tools and make targets agrees with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

import nncompare
import nncompare.testing
from nncompare.spec.runtimes import CATALOG, by_backend
from nncompare.studies.tune import storage

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
VERSIONS = ("3.11", "3.12", "3.13")


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def direct_requirements() -> list[Requirement]:
    """What pyproject.toml asks for by name, for users and for developers."""
    groups = PROJECT["dependency-groups"].values()
    extras = PROJECT["project"]["optional-dependencies"].values()
    listed = [PROJECT["project"]["dependencies"], *extras, *groups]
    # A group may include another one; what that one needs is listed there.
    return [Requirement(line) for lines in listed for line in lines if isinstance(line, str)]


@pytest.mark.parametrize("requirement", direct_requirements(), ids=str)
def test_the_tested_version_of_every_package_is_known_and_allowed(requirement: Requirement) -> None:
    version = constraints()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_every_supported_python_is_named_everywhere() -> None:
    supported = SpecifierSet(PROJECT["project"]["requires-python"])
    minors = [f"3.{minor}" for minor in range(9, 20) if f"3.{minor}" in supported]
    assert tuple(minors) == VERSIONS
    named = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"]]
    assert [word for word in named if re.fullmatch(r"3\.\d+", word)] == list(VERSIONS)
    tests = read_yaml(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]
    assert tests["strategy"] == {"fail-fast": False, "matrix": {"python": list(VERSIONS)}}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_targets_of_the_makefile(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, flags=re.MULTILINE))
    for job in read_yaml(path)["jobs"].values():
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert commands
        for command in commands:
            assert command.removeprefix("make ") in targets


def test_groups_that_the_makefile_installs_exist() -> None:
    installed = set(re.findall(r"--group (\w+)", MAKEFILE))
    assert installed == set(PROJECT["dependency-groups"])


def test_hooks_are_local_so_that_their_versions_are_those_of_the_constraints() -> None:
    (repository,) = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


def test_the_citation_names_this_version() -> None:
    assert read_yaml(ROOT / "CITATION.cff")["version"] == nncompare.__version__


EXTRAS = PROJECT["project"]["optional-dependencies"]


@pytest.mark.parametrize("backend", by_backend())
def test_what_is_missing_is_installed_by_what_the_extra_says(backend: str) -> None:
    assert CATALOG[backend].install.split() == EXTRAS[backend]


def test_the_driver_and_pytest_are_installed_by_what_their_extras_say() -> None:
    assert f'pip install "{EXTRAS["postgres"][0]}"' in Path(storage.__file__).read_text()
    assert f'pip install "{EXTRAS["testing"][0]}"' in str(nncompare.testing.__doc__)


TOLD = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "nncompare").rglob("*.py")]


def test_nobody_is_told_to_get_nncompare_from_an_index_that_has_none() -> None:
    """A clone is what there is (``-e ".[torch]"``), and another package's name is its author's."""
    wrong = re.compile(r"nncompare\[\w+\]|pip install[^\n`]*\bnncompare(?![-\w])")
    said = [str(path) for path in TOLD if wrong.search(path.read_text(encoding="utf-8"))]
    assert not said
