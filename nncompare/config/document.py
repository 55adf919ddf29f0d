"""From a file's bytes to a tree of values: YAML 1.2, with every key and value's position.

The parser's events are read one by one, so that a hostile file (aliases that multiply, thousands of
nested lists, megabytes) is refused before it is built. Nothing but text, numbers, true, false,
null, lists and mappings comes out: tags that would construct objects are refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
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
    StreamEndEvent,
    StreamStartEvent,
)

from nncompare.config.located import Located, Origin, Part, dotted
from nncompare.config.scalars import KNOWN_TAGS, CannotConvert, convert
from nncompare.errors import ConfigError, Problem

LIMIT_BYTES = 1 << 20
LIMIT_VALUES = 20_000
LIMIT_DEPTH = 60

_LINES = re.compile(r"\r\n|\n|\r")
_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN_WORDS = {
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
    spoilt: frozenset[str] = frozenset()


class _StopReadingError(Exception):
    """A problem after which the rest of the file means nothing."""

    def __init__(self, problem: Problem):
        self.problem = problem


def read_file(path: Path) -> str:
    """The text of an experiment file.

    Raises:
        ConfigError: missing (with near names), a folder, unreadable, over ``LIMIT_BYTES``, or not
            UTF-8 text.
    """
    source = str(path)

    def refuse(message: str) -> ConfigError:
        return ConfigError([Origin(source).problem((), message)])

    try:
        if path.is_dir():
            raise refuse("this is a folder; name an experiment file in it" + _files_in(path))
        with path.open("rb") as file:
            # one byte more than allowed tells a file of unknown size (a pipe) that is too large
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise refuse("there is no such file" + _near(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise refuse(f"cannot be read: {reason}") from None
    if len(data) > LIMIT_BYTES:
        raise refuse("larger than 1 MiB, which no experiment needs; is it the right file?")
    return _decode(data, source)


def _decode(data: bytes, source: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = (
            len(
                data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")
            )
            + 1
        )
        message = f"not a text file in UTF-8: byte 0x{data[error.start]:02x}"
        raise ConfigError([Origin(source, line, column).problem((), message)]) from None
    strange = _NOT_TEXT.search(text)
    if strange:
        line = text.count("\n", 0, strange.start()) + 1
        column = strange.start() - text.rfind("\n", 0, strange.start())
        message = f"not a text file: it holds the control character U+{ord(strange.group()):04X}"
        raise ConfigError([Origin(source, line, column).problem((), message)])
    return text


def _near(path: Path) -> str:
    try:
        names = sorted(
            item.name for item in path.parent.iterdir() if item.suffix in (".yaml", ".yml")
        )[:1000]
    except OSError:
        return f"; the folder {path.parent} does not exist either"
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if f"{path.name}.yaml" in names:
        near = [f"{path.name}.yaml"]
    return (
        f"; did you mean {' or '.join(str(path.parent / name) for name in near)}?" if near else ""
    )


def _files_in(path: Path) -> str:
    names = sorted(item.name for item in path.iterdir() if item.suffix in (".yaml", ".yml"))
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f": {shown}" if names else ", but it has no .yaml file"


def parse(text: str, source: str, *, with_lines: bool = True) -> Document:
    """Reads one YAML document.

    Args:
        text: the YAML.
        source: the file's name, or the argument that holds the text.
        with_lines: False for an argument: positions inside it are left out.
    """
    builder = _Builder(text, source, with_lines)
    try:
        root = builder.document()
    except _StopReadingError as stop:
        return Document(None, [*builder.problems, stop.problem])
    return Document(root, builder.problems, frozenset(builder.spoilt))


class _Builder:
    def __init__(self, text: str, source: str, with_lines: bool):
        self.source, self.with_lines = source, with_lines
        self.lines = _LINES.split(text)
        self.events = self._events(text)
        self.problems: list[Problem] = []
        self.spoilt: set[str] = set()
        self.anchors: dict[str, Located | None] = {}
        self.count = 0

    def _events(self, text: str) -> Iterator[Any]:
        try:
            yield from YAML(typ="safe", pure=True).parse(text)
        except MarkedYAMLError as error:
            raise _StopReadingError(self._syntax(error)) from None
        except (YAMLError, ValueError, IndexError, AttributeError, RecursionError) as error:
            # a ValueError or the like is the parser's own stumble over text that is not YAML
            raise _StopReadingError(Origin(self.source).problem((), f"not YAML: {error}")) from None

    def _syntax(self, error: MarkedYAMLError) -> Problem:
        mark = error.problem_mark or error.context_mark
        said = " ".join(str(error.problem or error.context or error).split())
        message = "not YAML: " + _PLAIN_WORDS.get(said, said)
        if (
            error.context_mark
            and error.context
            and mark
            and error.context_mark.line != mark.line
            and self.with_lines
        ):
            message += f" ({error.context} that begins on line {error.context_mark.line + 1})"
        if not self.with_lines or mark is None:
            return Origin(self.source).problem((), message)
        return self._origin(mark).problem((), message)

    def _origin(self, mark: Any) -> Origin:
        if not self.with_lines:
            return Origin(self.source)
        text = self.lines[mark.line] if mark.line < len(self.lines) else None
        return Origin(self.source, mark.line + 1, mark.column + 1, text)

    def _stop(self, event: Any, path: tuple[Part, ...], message: str) -> _StopReadingError:
        return _StopReadingError(self._origin(event.start_mark).problem(path, message))

    def document(self) -> Located | None:
        root: Located | None = None
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    message = "a second document begins here; one file holds one experiment"
                    self.problems.append(self._origin(event.start_mark).problem((), message))
                    break
                if event.version not in (None, (1, 2)):
                    message = "only YAML 1.2 is read; remove the %YAML line"
                    self.problems.append(self._origin(event.start_mark).problem((), message))
                root = self._node(next(self.events), (), 0)
            elif isinstance(event, (StreamStartEvent, StreamEndEvent)):
                continue
        return root

    def _node(self, event: Any, path: tuple[Part, ...], depth: int) -> Located:
        if depth > LIMIT_DEPTH:
            raise self._stop(event, path[:4], f"nested more than {LIMIT_DEPTH} levels deep")
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        self._counted(event, 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self._check_tag(event, path)
        node = (
            self._scalar(event, path)
            if isinstance(event, ScalarEvent)
            else self._collection(event, path, depth)
        )
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _counted(self, event: Any, values: int) -> None:
        self.count += values
        if self.count > LIMIT_VALUES:
            raise self._stop(
                event,
                (),
                f"more than {LIMIT_VALUES} values, aliases counted as often as they are used",
            )

    def _alias(self, event: Any, path: tuple[Part, ...]) -> Located:
        if event.anchor not in self.anchors:
            raise self._stop(
                event, path, f"*{event.anchor} refers to an anchor that is not defined above it"
            )
        node = self.anchors[event.anchor]
        if node is None:
            raise self._stop(event, path, f"*{event.anchor} contains itself")
        self._counted(event, node.size)
        return node

    def _check_tag(self, event: Any, path: tuple[Part, ...]) -> None:
        kind = (
            "scalar"
            if isinstance(event, ScalarEvent)
            else "map"
            if isinstance(event, MappingStartEvent)
            else "seq"
        )
        if event.tag is not None and event.tag not in KNOWN_TAGS[kind]:
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            message = (
                f"the tag {shown[:60]} is not allowed here: values are text, numbers, true, false,"
                " null"
            )
            self.problems.append(
                self._origin(event.start_mark).problem(path, message + ", lists and mappings")
            )
            self.spoilt.add(dotted(path))

    def _scalar(self, event: Any, path: tuple[Part, ...]) -> Located:
        origin = self._origin(event.start_mark)
        try:
            value = convert(event.value, event.tag, plain=event.implicit[0])
        except CannotConvert as error:
            self.problems.append(origin.problem(path, str(error)))
            self.spoilt.add(dotted(path))
            value = None
        return Located(value, origin)

    def _collection(self, event: Any, path: tuple[Part, ...], depth: int) -> Located:
        origin = self._origin(event.start_mark)
        if isinstance(event, MappingStartEvent):
            children = self._mapping(path, depth)
            return Located(children, origin, size=1 + sum(node.size for node in children.values()))
        items: list[Located] = []
        assert isinstance(event, SequenceStartEvent)
        while not isinstance(item := next(self.events), SequenceEndEvent):
            items.append(self._node(item, (*path, len(items)), depth + 1))
        return Located(items, origin, size=1 + sum(node.size for node in items))

    def _mapping(self, path: tuple[Part, ...], depth: int) -> dict[str, Located]:
        children: dict[str, Located] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            at = self._origin(event.start_mark)
            key = self._key(event, path, depth, at)
            node = replace(self._node(next(self.events), (*path, key or "?"), depth + 1), key=at)
            if key is None:
                continue
            if key in children:
                first = children[key].key
                where = f" on line {first.line}" if first is not None and first.line else ""
                self.problems.append(
                    at.problem((*path, key), f"the key {key!r} stands here twice, first{where}")
                )
                continue
            children[key] = node
        return children

    def _key(self, event: Any, path: tuple[Part, ...], depth: int, at: Origin) -> str | None:
        """The key's text; None after a complaint about a key that is no text."""
        if isinstance(event, ScalarEvent):
            node = self._node(event, path, depth)
            if event.value == "<<" and event.implicit[0]:
                self.problems.append(
                    at.problem((*path, "<<"), "merge keys are YAML 1.1; write the keys out")
                )
                return None
            if isinstance(node.value, str):
                return node.value
            written = f"{event.value!r}" if event.value else "an empty key"
            self.problems.append(at.problem(path, f"keys are names, and {written} is not one"))
            return None
        self._node(event, path, depth + 1)
        self.problems.append(at.problem(path, "keys are names, not lists, mappings or aliases"))
        return None
