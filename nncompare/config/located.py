"""An experiment file as a tree of values, each of which knows where it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nncompare.errors import Problem

Part = str | int
Path = tuple[Part, ...]
"""``("model", "hidden", 0)``, written ``model.hidden.0``."""

_LONGEST_LINE = 160


def dotted(path: Sequence[Part]) -> str:
    return ".".join(str(part) for part in path)


def _printable(text: str) -> str:
    """Escapes what could move a terminal's cursor or break a message's line."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


@dataclass(frozen=True)
class Origin:
    """Where something was written: a place in a file, or a command-line argument (then without a
    line).

    Args:
        source: the file's name or the argument's text.
        line, column: 1-based.
        text: the whole source line.
    """

    source: str = ""
    line: int | None = None
    column: int | None = None
    text: str | None = None

    def problem(self, path: Sequence[Part], message: str) -> Problem:
        text = self.text
        if text is not None and len(text) > _LONGEST_LINE:
            # a caret far to the right helps nobody; the column is in the message
            text = text[:_LONGEST_LINE] + "…" if (self.column or 0) <= _LONGEST_LINE else None
        return Problem(
            path=_printable(dotted(path)),
            message=_printable(message),
            source=_printable(self.source),
            line=self.line,
            column=self.column,
            text=text,
        )


@dataclass(frozen=True)
class Located:
    """One value.

    Args:
        value: a scalar, a list of nodes, or a dict of nodes.
        origin: where the value begins.
        key: where its key stands, if it is a mapping's value.
        size: the number of values inside, itself included, aliases counted as often as they are
            used.
    """

    value: Any
    origin: Origin
    key: Origin | None = None
    size: int = 1

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    @property
    def place(self) -> Origin:
        """Where to point when the value is wrong: at a value that stands beside its key, else at
        the key.
        """
        beside = self.key is None or self.key.line == self.origin.line
        return self.origin if self.key is None or (beside and not self.is_mapping) else self.key

    def plain(self) -> Any:
        """The value in Python's own lists and dicts."""
        if self.is_mapping:
            return {key: node.plain() for key, node in self.value.items()}
        if self.is_list:
            return [node.plain() for node in self.value]
        return self.value

    def child(self, part: Part) -> Located | None:
        if self.is_mapping:
            return self.value.get(part) if isinstance(part, str) else None
        if self.is_list and isinstance(part, int) and 0 <= part < len(self.value):
            found: Located = self.value[part]
            return found
        return None

    def find(self, path: Sequence[Part]) -> tuple[Located, int]:
        """The deepest node on the way along ``path`` and how many parts lead to it."""
        node = self
        for depth, part in enumerate(path):
            inner = node.child(part)
            if inner is None:
                return node, depth
            node = inner
        return node, len(path)

    def with_child(self, part: Part, child: Located) -> Located:
        """A copy in which ``part`` is ``child``; this tree stays as it is."""
        if self.is_mapping:
            return replace(self, value={**self.value, part: child})
        items = list(self.value)
        items[int(part)] = child
        return replace(self, value=items)


def from_python(value: Any, origin: Origin) -> Located:
    """A tree in which everything has the same origin."""
    if isinstance(value, Mapping):
        children = {str(key): from_python(item, origin) for key, item in value.items()}
        return Located(children, origin, origin, 1 + sum(node.size for node in children.values()))
    if isinstance(value, (list, tuple)):
        items = [from_python(item, origin) for item in value]
        return Located(items, origin, origin, 1 + sum(node.size for node in items))
    return Located(value, origin, origin)
