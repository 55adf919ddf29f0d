"""``train.optimizer.lr=3e-4``: one value of the file, changed from outside before it is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from pydantic.fields import FieldInfo

from nncompare.config import schema
from nncompare.config.document import parse
from nncompare.config.located import Located, Origin, Part, dotted, from_python
from nncompare.errors import Problem
from nncompare.spec.experiment import Experiment
from nncompare.spec.unions import model_classes

_INDEX = re.compile(r"-?\d+")
_MOST_DIGITS = 9
"""Of an index; Python refuses to read numbers of thousands of digits."""
_LONGEST_VALUE = 60
"""Characters of a value that a message repeats."""
SYNTAX = "an override is path=value, for example train.optimizer.lr=3e-4"


class OverrideError(Exception):
    """An override that cannot be applied."""

    def __init__(self, problem: Problem):
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class Override:
    """One change.

    Args:
        path: ``("train", "epochs")``; list items by number, counted from 0.
        value: what to put there, all of it with the argument as its origin.
        origin: the argument's text, for messages.
    """

    path: tuple[str, ...]
    value: Located
    origin: Origin

    @classmethod
    def of(cls, path: str, value: Any, source: str) -> Override:
        """From a path and a plain value; ``source`` is what the user typed, ``--seed 3``."""
        origin = Origin(source)
        return cls(path=tuple(path.split(".")), value=from_python(value, origin), origin=origin)

    @classmethod
    def from_text(cls, path: str, text: str, source: str) -> Override:
        """From a path and a value in YAML.

        Raises:
            OverrideError: the value is missing or is not YAML.
        """
        origin = Origin(source)
        if not text.strip():
            message = "no value is given; write null for none, '' for empty text"
            raise OverrideError(origin.problem((path,), message))
        shown = text[:_LONGEST_VALUE]
        document = parse(text, source, with_lines=False)
        if document.problems:
            problem = document.problems[0]
            inner = ".".join(part for part in (path, problem.path) if part)
            message = f"the value {shown!r}: {problem.message}"
            raise OverrideError(replace(problem, path=inner, message=message))
        parts = tuple(path.split("."))
        if document.root is None:
            raise OverrideError(origin.problem(parts, f"the value {shown!r} is only a comment"))
        return cls(path=parts, value=document.root, origin=origin)

    @classmethod
    def parse(cls, argument: str) -> Override:
        """From ``path=value``.

        Raises:
            OverrideError: no ``=``, an empty path or part of it, or a bad value.
        """
        path, equals, text = argument.partition("=")
        path = path.strip()
        if not equals:
            message = f"there is no '=' in it; {SYNTAX}"
            raise OverrideError(Origin(argument).problem((), message))
        if not path or not all(path.split(".")):
            message = f"the path before '=' is empty or has a gap; {SYNTAX}"
            raise OverrideError(Origin(argument).problem((), message))
        return cls.from_text(path, text, argument)


def apply(root: Located, override: Override) -> Located:
    """A copy of the tree with the override's value in its place; mappings on the way are made.

    Where the file leaves a key out, the override reaches into its default: without an optimizer in
    the file, ``train.optimizer.lr=1e-4`` changes the default optimizer's rate.

    Raises:
        OverrideError: the way leads through a plain value or past the end of a list.
    """
    way: list[tuple[Located, Part]] = []
    node = root
    annotation: Any = Experiment
    rest = override.path
    while rest:
        node = _opened(node, annotation, rest, override)
        field: FieldInfo | None = None
        part: Part
        if node.is_list:
            part = _index(node, rest, override)
            rest = rest[1:]
            inner = schema.item_annotation(annotation, part)
        else:
            part, rest = _next_key(node, rest)
            field = schema.field_of_key(annotation, node, part)
            inner = field.annotation if field is not None else None
        way.append((node, part))
        child = node.child(part)
        if child is None and field is not None:
            child = schema.default_tree(field, override.origin)
        # An unknown key: the check of the whole file will say so, with its near names.
        node = child or from_python({}, override.origin)
        annotation = inner
    changed = override.value
    for outer, part in reversed(way):
        changed = outer.with_child(part, changed)
    return changed


def _opened(node: Located, annotation: Any, rest: tuple[str, ...], override: Override) -> Located:
    """What the way goes on inside of: ``node`` itself, or the mapping that it is short for.

    Args:
        node: the part of the file that the way has reached.
        annotation: what that part may be.
        rest: the parts of the path that are still to go.

    Raises:
        OverrideError: it is a plain value.
    """
    if node.is_mapping or node.is_list:
        return node
    if node.value is None:
        # An empty key (``train:``) becomes a mapping, which the override has made.
        return replace(node, value={}, origin=override.origin, key=override.origin)
    # A name stands for a mapping with that name, where a mapping is what belongs here.
    classes = model_classes(annotation) if isinstance(node.value, str) else []
    if len(classes) == 1 and "name" in classes[0].model_fields:
        return from_python({"name": node.value}, node.origin)
    here = dotted(override.path[: -len(rest)])
    message = f"{here} is a plain value ({node.value!r}), so there is no {rest[0]!r} inside it"
    raise OverrideError(override.origin.problem(override.path, message))


def _next_key(node: Located, rest: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The next key and what follows it. A key may itself hold dots
    (``sweep.grid.train.batch_size``): the longest that exists is meant.
    """
    for count in range(len(rest), 1, -1):
        joined = ".".join(rest[:count])
        if joined in node.value:
            return joined, rest[count:]
    return rest[0], rest[1:]


def _index(node: Located, rest: tuple[str, ...], override: Override) -> int:
    """The number of a list's item, the first part of ``rest``.

    Raises:
        OverrideError: no number, or there is no such item.
    """
    part = rest[0]
    path = (*override.path[: -len(rest)], part)
    here = dotted(path[:-1])
    if not _INDEX.fullmatch(part):
        message = f"{here} is a list; its items are numbers from 0, not {part!r}"
        raise OverrideError(override.origin.problem(path, message))
    count = len(node.value)
    if len(part) <= _MOST_DIGITS and 0 <= int(part) < count:
        return int(part)
    items = {0: "no items", 1: "item 0 only"}
    have = items.get(count, f"items 0 to {count - 1}")
    message = f"{here} has {have}; there is no item {part[:12]}"
    raise OverrideError(override.origin.problem(path, message))
