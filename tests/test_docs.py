"""The pages that are written from the code are up to date, and what pages point to exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [page.parent / link for link in LINK.findall(text) if "://" not in link]
    paths = [ROOT / path for path in CODE_PATH.findall(text)]
    missing = [str(path) for path in (*links, *paths) if not path.exists()]
    assert not missing
