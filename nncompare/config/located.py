"""An experiment file as a tree of values, each of which knows where it was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from nncompare.errors import Problem

Part = str | int
Path = tuple[Part, ...]
"""``("model", "hidden", 0)``, written ``model.hidden.0``."""

_LONGEST_LINE = 160
"""Characters of a source line that a message shows."""


def dotted(path: Sequence[Part]) -> str:
    """``model.hidden.0``, as messages and overrides write a path."""
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
        """What is wrong with the value at ``path``, which was written here."""
        text = self.text
        if text is not None and len(text) > _LONGEST_LINE:
            # A caret far to the right helps nobody; the column is in the message.
            is_near = (self.column or 0) <= _LONGEST_LINE
            text = text[:_LONGEST_LINE] + "…" if is_near else None
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
    """One value, and where it was written.

    Args:
        value: a scalar, a list of ``Located``, or a dict of text -> ``Located``.
        origin: where the value begins.
        key: where its key stands, if it is a mapping's value.
    """

    value: Any
    origin: Origin
    key: Origin | None = None

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    @cached_property
    def size(self) -> int:
        """The number of values inside, itself included, aliases counted as often as they are used.

        Each value remembers its own: a hostile file's aliases would be counted for ever otherwise.
        """
        inside: Iterable[Located] = ()
        if self.is_mapping:
            inside = self.value.values()
        elif self.is_list:
            inside = self.value
        return 1 + sum(child.size for child in inside)

    @property
    def place(self) -> Origin:
        """Where to point when the value is wrong: at a value that stands beside its key, else at
        the key.
        """
        if self.key is None:
            return self.origin
        stands_beside = self.key.line == self.origin.line
        # A mapping is pointed at by its key: its value begins at its first key, which is innocent.
        return self.origin if stands_beside and not self.is_mapping else self.key

    def plain(self) -> Any:
        """The value in Python's own lists and dicts."""
        if self.is_mapping:
            return {key: child.plain() for key, child in self.value.items()}
        if self.is_list:
            return [item.plain() for item in self.value]
        return self.value

    def child(self, part: Part) -> Located | None:
        """The value of a key, or an item of a list; None if there is none."""
        inside = dict(enumerate(self.value)) if self.is_list else self.value
        return inside.get(part) if isinstance(inside, dict) else None

    def find(self, path: Sequence[Part]) -> tuple[Located, int]:
        """The deepest value on the way along ``path``, and how many parts lead to it."""
        node = self
        for depth, part in enumerate(path):
            inner = node.child(part)
            if inner is None:
                return node, depth
            node = inner
        return node, len(path)

    def place_of(self, path: Sequence[Part]) -> Origin:
        """Where to point when something is wrong at ``path``: where the file leaves the value out,
        at the key of what should hold it.
        """
        node, depth = self.find(path)
        return node.place if depth == len(path) else node.key or node.origin

    def with_child(self, part: Part, child: Located) -> Located:
        """A copy in which ``part`` is ``child``; this tree stays as it is."""
        if self.is_mapping:
            return replace(self, value={**self.value, part: child})
        items = list(self.value)
        items[int(part)] = child
        return replace(self, value=items)


def from_python(value: Any, origin: Origin) -> Located:
    """A tree in which everything has the same origin, from Python's own lists and mappings."""
    if isinstance(value, Mapping):
        value = {str(key): from_python(item, origin) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        value = [from_python(item, origin) for item in value]
    return Located(value, origin, origin)
