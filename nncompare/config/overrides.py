"""``train.optimizer.lr=3e-4``: one value of the file, changed from outside before it is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from nncompare.config import schema
from nncompare.config.document import parse
from nncompare.config.located import Located, Origin, Part, Path, dotted, from_python
from nncompare.errors import Problem
from nncompare.spec.experiment import Experiment

_INDEX = re.compile(r"-?\d+")
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
        origin, parts = Origin(source), tuple(path.split("."))
        if not text.strip():
            raise OverrideError(
                origin.problem((path,), "no value is given; write null for none, '' for empty text")
            )
        document = parse(text, source, with_lines=False)
        if document.problems:
            problem = document.problems[0]
            inner = ".".join(part for part in (path, problem.path) if part)
            raise OverrideError(
                replace(problem, path=inner, message=f"the value {text[:60]!r}: {problem.message}")
            )
        if document.root is None:
            raise OverrideError(origin.problem(parts, f"the value {text[:60]!r} is only a comment"))
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
            raise OverrideError(Origin(argument).problem((), f"there is no '=' in it; {SYNTAX}"))
        if not path or not all(path.split(".")):
            raise OverrideError(
                Origin(argument).problem((), f"the path before '=' is empty or has a gap; {SYNTAX}")
            )
        return cls.from_text(path, text, argument)


def apply(root: Located, override: Override) -> Located:
    """A copy of the tree with the override's value in its place; mappings on the way are made.

    Where the file leaves a key out, the override reaches into its default:
        ``train.optimizer.lr=1e-4`` changes
    the default optimizer's rate.

    Raises:
        OverrideError: the way leads through a plain value or past the end of a list.
    """
    return _assign(root, Experiment, override.path, (), override)


def _assign(
    node: Located, annotation: Any, rest: tuple[str, ...], done: Path, override: Override
) -> Located:
    if node.value is None:
        node = replace(node, value={}, origin=override.origin, key=override.origin)
    if node.is_mapping:
        key, rest = _key(node, rest)
        field = schema.inside(annotation, node, key)
        if not rest:
            return node.with_child(key, override.value)
        child = node.child(key)
        if child is None:
            child = (
                schema.seed(field, override.origin) if field else from_python({}, override.origin)
            )
        inner = field.annotation if field else None
        return node.with_child(key, _assign(child, inner, rest, (*done, key), override))
    if node.is_list:
        index = _index(node, rest[0], done, override)
        if len(rest) == 1:
            return node.with_child(index, override.value)
        item = node.value[index]
        return node.with_child(
            index, _assign(item, schema.element(annotation), rest[1:], (*done, index), override)
        )
    # an initializer's name stands for a mapping with that name
    shorthand = schema.models(annotation) if isinstance(node.value, str) else []
    if len(shorthand) == 1 and "name" in shorthand[0].model_fields:
        mapping = from_python({"name": node.value}, node.origin)
        return _assign(mapping, annotation, rest, done, override)
    message = (
        f"{dotted(done)} is a plain value ({node.value!r}), so there is no {rest[0]!r} inside it"
    )
    raise OverrideError(override.origin.problem((*done, *rest), message))


def _key(node: Located, rest: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The next key and what follows it. A key may itself hold dots
    (``sweep.grid.train.batch_size``): the longest that exists is meant.
    """
    for count in range(len(rest), 1, -1):
        joined = ".".join(rest[:count])
        if joined in node.value:
            return joined, rest[count:]
    return rest[0], rest[1:]


def _index(node: Located, part: str, done: Path, override: Override) -> int:
    count = len(node.value)
    path: tuple[Part, ...] = (*done, part)
    if not _INDEX.fullmatch(part):
        message = f"{dotted(done)} is a list; its items are numbers from 0, not {part!r}"
        raise OverrideError(override.origin.problem(path, message))
    if len(part) > 9 or not 0 <= int(part) < count:
        have = f"items 0 to {count - 1}" if count > 1 else "item 0 only" if count else "no items"
        raise OverrideError(
            override.origin.problem(
                path, f"{dotted(done)} has {have}; there is no item {part[:12]}"
            )
        )
    return int(part)
