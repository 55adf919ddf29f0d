"""Imports a backend with one text in one of its files replaced, from a copy: the backend's own
files do not change.

The changed text must be a file, since AutoGraph reads the source of the functions that it traces.
"""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from nncompare import backends

FOLDER = Path(backends.__file__ or "").parent


class Patch(NamedTuple):
    """``old`` must occur exactly once in ``nncompare/backends/<file>``, so that no planted error
    rots unseen. How the code is laid out does not matter: words and symbols are compared, not
    spaces, line breaks and the commas that a formatter puts before a closing bracket.
    """

    file: str
    old: str
    new: str

    @property
    def module(self) -> str:
        return f"{backends.__name__}.{self.file.removesuffix('.py').replace('/', '.')}"

    def apply(self, text: str) -> str:
        """The changed source.

        Raises:
            ValueError: ``old`` is not there, or more than once.
        """
        places = _places(self.old, text)
        if len(places) != 1:
            raise ValueError(
                f"{self.file}: {self.old!r} occurs {len(places)} times; it must occur once"
            )
        begin, end = places[0]
        return text[:begin] + self.new + text[end:]


_WORD = re.compile(r"\w+|[^\w\s]")
_CLOSING = (")", "]", "}")


def _places(old: str, text: str) -> list[tuple[int, int]]:
    """Where the words of ``old`` stand in ``text``, as ranges of characters."""
    wanted = _WORD.findall(old)
    words = list(_WORD.finditer(text))
    places = []
    for first in range(len(words)):
        last = _match(wanted, words, first)
        if last is not None:
            places.append(_widened(old, text, words[first].start(), words[last].end()))
    return places


def _widened(old: str, text: str, begin: int, end: int) -> tuple[int, int]:
    """The range with its indentation and its line's end, where ``old`` names these."""
    if old[0].isspace():
        begin = text.rfind("\n", 0, begin) + 1
    if old.endswith("\n"):
        end = text.index("\n", end) + 1
    return begin, end


def _match(wanted: Sequence[str], words: Sequence[re.Match[str]], first: int) -> int | None:
    """The index of the last word, if those from ``first`` on are the wanted ones."""
    at = first
    for number, word in enumerate(wanted):
        if at >= len(words):
            return None
        # a formatter may have put a comma before the closing bracket
        if number and word in _CLOSING and words[at].group() == ",":
            at += 1
        if at >= len(words) or words[at].group() != word:
            return None
        at += 1
    return at - 1


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, patches: Sequence[Patch], folder: Path):
        super().__init__(fullname, path)
        self.patches, self.folder = patches, folder

    def get_code(self, fullname: str) -> CodeType:
        text = Path(self.path).read_text(encoding="utf-8")
        for patch in self.patches:
            text = patch.apply(text)
        copy = self.folder / f"{fullname}.py"
        copy.write_text(text, encoding="utf-8")
        return compile(text, copy, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, patches: Sequence[Patch], folder: Path):
        self.patches, self.folder = patches, folder

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        mine = [patch for patch in self.patches if patch.module == fullname]
        if not mine:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None, f"no module {fullname}"
        spec.loader = _Loader(fullname, str(spec.origin), mine, self.folder)
        return spec


@contextmanager
def patched(package: str, patches: Sequence[Patch]) -> Iterator[ModuleType]:
    """The package, freshly imported with its patches; forgotten again at the end."""
    with tempfile.TemporaryDirectory() as folder:
        finder = _Finder(patches, Path(folder))
        sys.meta_path.insert(0, finder)
        try:
            _forget(package)
            yield importlib.import_module(package)
        finally:
            sys.meta_path.remove(finder)
            _forget(package)


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    importlib.invalidate_caches()
