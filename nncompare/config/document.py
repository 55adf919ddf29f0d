"""From a file's text to a tree of values: YAML 1.2, with the position of every key and value.

The parser's events are read one by one, so that a hostile file (aliases that multiply, thousands of
nested lists) is refused before it is built. Nothing but text, numbers, true, false, null, lists and
mappings comes out: tags that would construct objects are refused.

ruamel.yaml's own ``compose`` would build the tree, but it answers deep nesting with a
``RecursionError`` that has no place in the file, takes ``2001-01-01`` for a date and ``0b1`` for a
number, and lets a key that stands twice pass.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from nncompare.config.located import Located, Origin, Part, Path, dotted
from nncompare.config.scalars import CannotConvert, convert
from nncompare.errors import Problem

LIMIT_VALUES = 20_000
LIMIT_DEPTH = 60

_LINES = re.compile(r"\r\n|\n|\r")
_YAML_TAG = "tag:yaml.org,2002:"
_TAGS: dict[type, tuple[str, ...]] = {
    ScalarEvent: ("str", "int", "float", "bool", "null"),
    MappingStartEvent: ("map",),
    SequenceStartEvent: ("seq",),
}
_LONGEST_TAG = 60
"""Characters of a tag that a message repeats."""
_LONGEST_PATH = 4
"""Parts of the path in a message about values that are nested too deeply."""
_PARSER_WORDS = {
    r"found character '\t' that cannot start any token": "a tab cannot indent; use spaces",
    "found unexpected end of stream": "the quote that was opened is never closed",
    "mapping values are not allowed here": (
        "a second ': ' on one line; put quotes around text that holds a colon, or check the"
        " indentation"
    ),
    "expected <block end>, but found '<block mapping start>'": (
        "this line's indentation fits no line above it"
    ),
    "could not find expected ':'": "this is neither 'key: value' nor an item '- value'",
}
"""What ruamel.yaml's parser says -> the same for somebody who writes YAML once a month."""


@dataclass
class Document:
    """What was read.

    Args:
        root: the tree; None if there is none.
        problems: what is wrong with the text itself.
        spoilt: dotted paths of values that could not be read, about which enough has been said.
    """

    root: Located | None
    problems: list[Problem] = field(default_factory=list)
    spoilt: Collection[str] = ()


class _StopReadingError(Exception):
    """A problem, its only argument, after which the rest of the file means nothing."""


def parse(text: str, source: str, *, with_lines: bool = True) -> Document:
    """Reads one YAML document.

    Args:
        text: the YAML.
        source: the file's name, or the argument that holds the text.
        with_lines: False for an argument: positions inside it are left out.
    """
    builder = _TreeBuilder(text, source, with_lines=with_lines)
    try:
        root = builder.document()
    except _StopReadingError as stop:
        return Document(None, [*builder.problems, *stop.args])
    return Document(root, builder.problems, builder.spoilt)


class _TreeBuilder:
    """Turns the parser's events into a tree, and collects what is wrong on the way."""

    def __init__(self, text: str, source: str, *, with_lines: bool):
        self.source = source
        self.with_lines = with_lines
        self.lines = _LINES.split(text)
        self.events = self._events(text)
        self.problems: list[Problem] = []
        self.spoilt: set[str] = set()
        self.anchors: dict[str, Located | None] = {}
        """Anchor -> its value; None while that is still being built."""
        self.count = 0
        """Values so far, those behind an alias counted at each use."""

    def _events(self, text: str) -> Iterator[Any]:
        try:
            yield from YAML(typ="safe", pure=True).parse(text)
        except MarkedYAMLError as error:
            raise _StopReadingError(self._syntax_problem(error)) from None
        except (YAMLError, ValueError, IndexError, AttributeError, RecursionError) as error:
            # A ValueError or the like is the parser's own stumble over text that is not YAML.
            raise _StopReadingError(Origin(self.source).problem((), f"not YAML: {error}")) from None

    def _syntax_problem(self, error: MarkedYAMLError) -> Problem:
        """What the parser complains about, in words of ours where we have any."""
        mark = error.problem_mark or error.context_mark
        said = " ".join(str(error.problem or error.context or error).split())
        message = "not YAML: " + _PARSER_WORDS.get(said, said)
        if not self.with_lines or mark is None:
            return Origin(self.source).problem((), message)
        # The place is where the parser gave up; what it was reading may have begun far above.
        begin = error.context_mark
        if error.context and begin is not None and begin.line != mark.line:
            message += f" ({error.context} that begins on line {begin.line + 1})"
        return self._origin(mark).problem((), message)

    def _origin(self, mark: Any) -> Origin:
        """The place of a parser's mark, which counts lines and columns from 0."""
        if not self.with_lines:
            return Origin(self.source)
        # The end of the stream may lie behind the last line.
        text = self.lines[mark.line] if mark.line < len(self.lines) else None
        return Origin(self.source, mark.line + 1, mark.column + 1, text)

    def _complain(self, event: Any, path: Path, message: str) -> None:
        """A problem after which reading goes on."""
        self.problems.append(self._origin(event.start_mark).problem(path, message))

    def _stop(self, event: Any, path: Path, message: str) -> _StopReadingError:
        return _StopReadingError(self._origin(event.start_mark).problem(path, message))

    def document(self) -> Located | None:
        """The tree of the first document; None of an empty stream.

        Raises:
            _StopReadingError: the rest cannot be read.
        """
        root: Located | None = None
        for event in self.events:
            # The other events between documents say that one has ended, or the whole stream.
            if not isinstance(event, DocumentStartEvent):
                continue
            if root is not None:
                message = "a second document begins here; one file holds one experiment"
                self._complain(event, (), message)
                break
            # Older versions read ``no`` as false, among other surprises.
            if event.version not in (None, (1, 2)):
                self._complain(event, (), "only YAML 1.2 is read; remove the %YAML line")
            root = self._value(next(self.events), (), 0)
        return root

    def _value(self, event: Any, path: Path, depth: int) -> Located:
        """The value that begins with an event."""
        if depth > LIMIT_DEPTH:
            message = f"nested more than {LIMIT_DEPTH} levels deep"
            raise self._stop(event, path[:_LONGEST_PATH], message)
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        self._count(event, 1)
        if event.anchor is not None:
            # Known from here on, so that an alias inside its own value is told from an unknown one.
            self.anchors[event.anchor] = None
        self._check_tag(event, path)
        match event:
            case ScalarEvent():
                value = self._scalar(event, path)
            case MappingStartEvent():
                value = self._mapping(event, path, depth)
            case SequenceStartEvent():
                value = self._list(event, path, depth)
            case _:
                raise AssertionError(f"the parser gave {type(event).__name__} for a value")
        if event.anchor is not None:
            self.anchors[event.anchor] = value
        return value

    def _count(self, event: Any, values: int) -> None:
        self.count += values
        if self.count > LIMIT_VALUES:
            message = f"more than {LIMIT_VALUES} values, aliases counted as often as they are used"
            raise self._stop(event, (), message)

    def _alias(self, event: Any, path: Path) -> Located:
        """The value that an alias stands for; it is shared, not copied."""
        if event.anchor not in self.anchors:
            message = f"*{event.anchor} refers to an anchor that is not defined above it"
            raise self._stop(event, path, message)
        value = self.anchors[event.anchor]
        if value is None:
            raise self._stop(event, path, f"*{event.anchor} contains itself")
        self._count(event, value.size)
        return value

    def _check_tag(self, event: Any, path: Path) -> None:
        """Complains about a tag that is none of YAML's own for such a value."""
        names = _TAGS[type(event)]
        if event.tag in (None, "!", *(_YAML_TAG + name for name in names)):
            return
        shown = event.tag.replace(_YAML_TAG, "!!")[:_LONGEST_TAG]
        message = (
            f"the tag {shown} is not allowed here: values are text, numbers, true, false, null,"
            " lists and mappings"
        )
        self._complain(event, path, message)
        self.spoilt.add(dotted(path))

    def _scalar(self, event: Any, path: Path) -> Located:
        origin = self._origin(event.start_mark)
        try:
            value = convert(event.value, event.tag, plain=event.implicit[0])
        except CannotConvert as error:
            # Reading goes on with null, and what the checks say about that null is left out.
            value = None
            self.problems.append(origin.problem(path, str(error)))
            self.spoilt.add(dotted(path))
        return Located(value, origin)

    def _list(self, event: Any, path: Path, depth: int) -> Located:
        items: list[Located] = []
        while not isinstance(item := next(self.events), SequenceEndEvent):
            items.append(self._value(item, (*path, len(items)), depth + 1))
        return Located(items, self._origin(event.start_mark))

    def _mapping(self, event: Any, path: Path, depth: int) -> Located:
        children: dict[str, Located] = {}
        while not isinstance(key_event := next(self.events), MappingEndEvent):
            at = self._origin(key_event.start_mark)
            key = self._key(key_event, path, depth)
            # The value of a bad key is read all the same: it has problems of its own.
            value = self._value(next(self.events), (*path, key or "?"), depth + 1)
            if key is None:
                continue
            if key in children:
                first = children[key].key
                where = f" on line {first.line}" if first is not None and first.line else ""
                message = f"the key {key!r} stands here twice, first{where}"
                self.problems.append(at.problem((*path, key), message))
                continue
            children[key] = replace(value, key=at)
        return Located(children, self._origin(event.start_mark))

    def _key(self, event: Any, path: tuple[Part, ...], depth: int) -> str | None:
        """The key's text; None after a complaint about a key that is no text."""
        if not isinstance(event, ScalarEvent):
            # The events of the key have to be read before those of its value.
            self._value(event, path, depth + 1)
            self._complain(event, path, "keys are names, not lists, mappings or aliases")
            return None
        key = self._value(event, path, depth).value
        if event.value == "<<" and event.implicit[0]:
            self._complain(event, (*path, "<<"), "merge keys are YAML 1.1; write the keys out")
            return None
        if not isinstance(key, str):
            written = f"{event.value!r}" if event.value else "an empty key"
            self._complain(event, path, f"keys are names, and {written} is not one")
            return None
        return key
