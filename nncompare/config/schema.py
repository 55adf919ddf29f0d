"""Maps a path in the file, or pydantic's error location, to the model class that describes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nncompare.config.dump import as_given
from nncompare.config.located import Located, Origin, Part, Path, from_python
from nncompare.spec.unions import alternatives, members, model_classes, tag_of

_DEEPEST_HINT = 3
"""Keys of a path that ``paths_named`` proposes: ``train.optimizer.lr`` has three."""


def item_annotation(annotation: Any, part: Part) -> Any:
    """What stands at a number of a list, or at a free key of a mapping (``tune.parameters``); None
    if the annotation is no list, or no such mapping.
    """
    is_number = isinstance(part, int)
    for item in alternatives(annotation):
        if get_origin(item) is (tuple if is_number else dict):
            # a mapping's first argument is that of its keys
            return get_args(item)[0 if is_number else 1]
    return None


def allowed_words(annotation: Any) -> list[str]:
    """The members of the ``Literal`` types among the alternatives."""
    found: list[str] = []
    for item in alternatives(annotation):
        if get_origin(item) is Literal:
            found += [str(word) for word in get_args(item)]
    return found


def chosen_class(annotation: Any, node: Located | None) -> type[BaseModel] | None:
    """The alternative that a mapping of the file has chosen, or None if it has chosen none.

    Args:
        annotation: what the mapping may be.
        node: the mapping as the file has it; None where the file has none.
    """
    classes = model_classes(annotation)
    if len(classes) <= 1:
        return classes[0] if classes else None
    given = node.value if node is not None and node.is_mapping else {}
    implied = []
    name = tag_of(annotation)
    for word, cls in members(annotation).items():
        if name in given:
            if given[name].value == word:
                return cls
        elif not cls.model_fields[name].is_required():
            # ``layers: […]`` without a family: the class whose word is the default.
            implied.append(cls)
    # Nothing is named: a class is meant if one of its own keys is there, and no other fits, too.
    fitting = [cls for cls in implied if not cls.model_fields.keys().isdisjoint(given)]
    return fitting[0] if len(fitting) == 1 else None


def default_tree(field: FieldInfo, origin: Origin) -> Located:
    """A field's default as a tree, so that an override can reach inside it; an empty mapping if
    there is none.
    """
    default = None if field.is_required() else field.default
    if isinstance(default, BaseModel):
        # Only what the default itself sets: the rest stays open, as in a file that leaves it out.
        default = as_given(default)
    return from_python({} if default is None else default, origin)


@dataclass(frozen=True)
class Place:
    """A place in the file.

    Args:
        path: as the user writes it, without pydantic's tags.
        owner: the class of the mapping that holds the last key.
        annotation: what the value may be; None for an unknown key.
    """

    path: Path
    owner: type[BaseModel]
    annotation: Any


def place_of_error(root: type[BaseModel], loc: Sequence[Part]) -> Place:
    """From pydantic's location of an error to the user's path.

    pydantic writes the chosen alternative into the location (``('model', 'mlp', 'hidden', 0)``),
    and for a union of plain types the name of the member that failed; neither is in the file.
    """
    path: list[Part] = []
    owner = root
    annotation: Any = root
    for part in loc:
        classes = model_classes(annotation)
        inner = item_annotation(annotation, part)
        if len(classes) > 1:
            # The alternative's word, which the file does not have here.
            annotation = members(annotation).get(str(part))
            continue
        if classes:
            owner = classes[0]
            field = owner.model_fields.get(str(part))
            inner = field.annotation if field else None
        elif inner is None and annotation is not None and not isinstance(part, int):
            # The name of a union's member (``int``), which is nobody's key.
            continue
        # Below an unknown key, whose annotation is None, everything is the user's.
        path.append(part)
        annotation = inner
    return Place(tuple(path), owner, annotation)


def field_of_key(annotation: Any, node: Located | None, key: Part) -> FieldInfo | None:
    """The description of one key of a mapping in the file, if it is known.

    Args:
        annotation: what the mapping may be.
        node: the mapping as the file has it, which decides between alternatives.
    """
    cls = chosen_class(annotation, node)
    return cls.model_fields.get(str(key)) if cls is not None else None


def paths_named(root: Any, node: Located | None, name: str, at: Path = ()) -> Iterator[Path]:
    """Where else a key of this name is allowed, given the alternatives that the file has chosen.

    Args:
        root: a class, or a union of classes.
        node: the part of the file that it describes; None where the file has none.
        name: the key.
        at: the path of ``node``.
    """
    cls = chosen_class(root, node)
    fields = cls.model_fields if cls is not None else {}
    for key, field in fields.items():
        if key == name:
            yield (*at, key)
        # A residual layer holds layers, which hold layers.
        if len(at) < _DEEPEST_HINT:
            given = node.child(key) if node is not None else None
            # What the file leaves out has the default's alternatives.
            inner = given or default_tree(field, Origin())
            yield from paths_named(field.annotation, inner, name, (*at, key))
