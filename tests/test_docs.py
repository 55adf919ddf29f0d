"""The pages that are written from the code are up to date, and what pages point to exists."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from nncompare.spec.data import DATA

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
CODE_PATH = re.compile(
    r"`((?:nncompare|tests|benchmarks|configs|docs)/[\w./]+\.(?:py|yaml|md)|(?:nncompare|tests|benchmarks)/[\w/]+/)`"
)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generate_configuration", ROOT / "docs/generate_configuration.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_configuration_page_is_up_to_date(generator: ModuleType) -> None:
    assert generator.PAGE.read_text(encoding="utf-8") == generator.page(), (
        "the schema has changed: run python docs/generate_configuration.py"
    )


def test_configuration_page_notices_a_new_key(generator: ModuleType) -> None:
    class Unexplained(BaseModel):
        key: int = 1

    with pytest.raises(KeyError, match=r"Unexplained\.key"):
        generator.meaning(Unexplained, "key")


def test_the_data_set_of_the_page_works_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class passes its tests, as a new file of ``nncompare.data`` would."""
    page = (ROOT / "docs/add-a-data-set.md").read_text(encoding="utf-8")
    described, tests = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    module = ModuleType("nncompare.data.iris")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(described, vars(module))
    monkeypatch.setitem(DATA, "iris", module.Iris)
    namespace: dict[str, Any] = {}
    exec(tests, namespace)
    namespace["test_it_keeps_the_promises_of_a_data_set"]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [page.parent / link for link in LINK.findall(text) if "://" not in link]
    paths = [ROOT / path for path in CODE_PATH.findall(text)]
    missing = [str(path) for path in (*links, *paths) if not path.exists()]
    assert not missing
