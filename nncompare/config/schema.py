"""Which class describes which place of an experiment file: the way from a path, or from pydantic's,
to a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nncompare.config.located import Located, Origin, Part, Path, from_python

_TAGS = ("type", "family", "name")
"""The fields by whose value alternatives are told apart."""


def alternatives(annotation: Any) -> list[Any]:
    """What a value may be: the members of a union, without ``Annotated``, as a flat list."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [item for member in get_args(annotation) for item in alternatives(member)]
    return [annotation]


def models(annotation: Any) -> list[type[BaseModel]]:
    """The classes among the alternatives."""
    return [
        item
        for item in alternatives(annotation)
        if isinstance(item, type) and issubclass(item, BaseModel)
    ]


def element(annotation: Any) -> Any:
    """What a list's items are; None if the annotation is no list."""
    for item in alternatives(annotation):
        if get_origin(item) in (tuple, list):
            return get_args(item)[0]
    return None


def entry(annotation: Any) -> Any:
    """What the values of a mapping with free keys are; None if the annotation is no such
    mapping.
    """
    for item in alternatives(annotation):
        if get_origin(item) is dict:
            return get_args(item)[1]
    return None


def literals(annotation: Any) -> list[str]:
    """The words that are allowed."""
    return [
        str(word)
        for item in alternatives(annotation)
        if get_origin(item) is Literal
        for word in get_args(item)
    ]


def tag(cls: type[BaseModel]) -> tuple[str, str] | None:
    """``("family", "mlp")``: the field and the word that choose this class among others."""
    for name in _TAGS:
        field = cls.model_fields.get(name)
        if field is not None:
            words = literals(field.annotation)
            if len(words) == 1:
                return name, words[0]
    return None


def choose(classes: Sequence[type[BaseModel]], node: Located | None) -> type[BaseModel] | None:
    """The alternative that a mapping has chosen, or None if it has chosen none."""
    if len(classes) == 1:
        return classes[0]
    given = node.value if node is not None and node.is_mapping else {}
    for cls in classes:
        found = tag(cls)
        if found and found[0] in given and given[found[0]].value == found[1]:
            return cls
    implied = [
        cls
        for cls in classes
        if (found := tag(cls)) and found[0] not in given and _optional(cls, found[0])
    ]
    wanted = [cls for cls in implied if any(key in cls.model_fields for key in given)]
    return wanted[0] if len(wanted) == 1 else None


def _optional(cls: type[BaseModel], name: str) -> bool:
    return not cls.model_fields[name].is_required()


def seed(field: FieldInfo, origin: Origin) -> Located:
    """A field's default as a tree, so that an override can reach inside it; an empty mapping if
    there is none.
    """
    default = None if field.is_required() else field.get_default(call_default_factory=False)
    if isinstance(default, BaseModel):
        chosen = tag(type(default))
        values = {
            **(dict([chosen]) if chosen else {}),
            **default.model_dump(mode="json", exclude_unset=True),
        }
        return from_python(values, origin)
    return from_python({} if default is None else default, origin)


@dataclass(frozen=True)
class Place:
    """A place in the file.

    Args:
        path: as the user writes it, without pydantic's tags.
        owner: the class of the mapping that holds the last key, if it is known.
        annotation: what the value may be; None for an unknown key.
        key: the last part is a key of ``owner``.
    """

    path: Path
    owner: type[BaseModel] | None
    annotation: Any


def follow(root: type[BaseModel], loc: Sequence[Part]) -> Place:
    """From pydantic's location of an error to the user's path.

    pydantic writes the chosen alternative into the location (``('model', 'mlp', 'hidden', 0)``),
    and for a union of plain types the name of the member that failed; neither is in the file.
    """
    path: list[Part] = []
    owner: type[BaseModel] | None = None
    annotation: Any = root
    position = 0
    while position < len(loc):
        part = loc[position]
        classes = models(annotation)
        if len(classes) > 1:
            annotation = next(
                (cls for cls in classes if (found := tag(cls)) and found[1] == part), None
            )
        elif classes:
            owner, field = classes[0], classes[0].model_fields.get(str(part))
            path.append(part)
            annotation = field.annotation if field else None
        elif isinstance(part, int):
            path.append(part)
            annotation = element(annotation)
        elif entry(annotation) is not None:
            path.append(part)
            annotation = entry(annotation)
        elif annotation is None:
            path.append(part)
        position += 1
    return Place(tuple(path), owner, annotation)


def inside(annotation: Any, node: Located | None, part: Part) -> FieldInfo | None:
    """The description of one key of a mapping in the file, if it is known."""
    classes = models(annotation)
    cls = choose(classes, node) if classes else None
    return cls.model_fields.get(str(part)) if cls is not None else None


def paths_named(
    root: type[BaseModel], node: Located | None, name: str, at: Path = ()
) -> list[Path]:
    """Where else a key of this name is allowed, given the alternatives that the file has chosen."""
    classes = models(root)
    cls = choose(classes, node) if classes else None
    found: list[Path] = []
    for key, field in cls.model_fields.items() if cls is not None else ():
        if key == name:
            found.append((*at, key))
        inner = node.child(key) if node is not None else None
        if models(field.annotation) and len(at) < 3:
            default = seed(field, Origin()) if inner is None else inner
            found += paths_named(field.annotation, default, name, (*at, key))  # type: ignore[arg-type]
    return found
