"""Maps a path in the file, or pydantic's error location, to the model class that describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nncompare.config.located import Located, Origin, Part, Path, from_python

_DISCRIMINATORS = ("type", "family", "name")
"""The fields by whose value alternatives are told apart."""
_DEEPEST_HINT = 3
"""Keys of a path that ``paths_named`` proposes: ``train.optimizer.lr`` has three."""


def alternatives(annotation: Any) -> list[Any]:
    """What a value may be: the members of a union, without ``Annotated``, as a flat list."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        found: list[Any] = []
        for member in get_args(annotation):
            found += alternatives(member)
        return found
    return [annotation]


def model_classes(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models among the alternatives."""
    found = []
    for item in alternatives(annotation):
        if isinstance(item, type) and issubclass(item, BaseModel):
            found.append(item)
    return found


def item_annotation(annotation: Any) -> Any:
    """What a list's items are; None if the annotation is no list."""
    for item in alternatives(annotation):
        if get_origin(item) in (tuple, list):
            return get_args(item)[0]
    return None


def free_value_annotation(annotation: Any) -> Any:
    """What the values of a mapping with free keys are (``tune.parameters``); None if the annotation
    is no such mapping.
    """
    for item in alternatives(annotation):
        if get_origin(item) is dict:
            return get_args(item)[1]
    return None


def allowed_words(annotation: Any) -> list[str]:
    """The members of the ``Literal`` types among the alternatives."""
    found: list[str] = []
    for item in alternatives(annotation):
        if get_origin(item) is Literal:
            found += [str(word) for word in get_args(item)]
    return found


def discriminator(cls: type[BaseModel]) -> tuple[str, str] | None:
    """``("family", "mlp")``: the field and the word that choose this class among others; None of a
    class that stands alone.
    """
    for name in _DISCRIMINATORS:
        field = cls.model_fields.get(name)
        words = allowed_words(field.annotation) if field is not None else []
        # A field with several words (a goal's ``name``) chooses nothing.
        if len(words) == 1:
            return name, words[0]
    return None


def class_of_word(classes: Sequence[type[BaseModel]], word: Part) -> type[BaseModel] | None:
    """The class that a discriminator's word chooses."""
    for cls in classes:
        chosen = discriminator(cls)
        if chosen is not None and chosen[1] == word:
            return cls
    return None


def discriminator_words(annotation: Any) -> list[str]:
    """The words that choose among the classes of a union, in its order."""
    chosen = [discriminator(cls) for cls in model_classes(annotation)]
    return [item[1] for item in chosen if item is not None]


def chosen_class(
    classes: Sequence[type[BaseModel]], node: Located | None
) -> type[BaseModel] | None:
    """The alternative that a mapping of the file has chosen, or None if it has chosen none."""
    if len(classes) == 1:
        return classes[0]
    given = node.value if node is not None and node.is_mapping else {}
    implied = []
    for cls in classes:
        found = discriminator(cls)
        if found is None:
            continue
        name, word = found
        if name in given:
            if given[name].value == word:
                return cls
        elif not cls.model_fields[name].is_required():
            # ``layers: […]`` without a family: the class whose word is the default.
            implied.append(cls)
    # Nothing is named: a class is meant if one of its own keys is there, and no other fits, too.
    fitting = [cls for cls in implied if any(key in cls.model_fields for key in given)]
    return fitting[0] if len(fitting) == 1 else None


def default_tree(field: FieldInfo, origin: Origin) -> Located:
    """A field's default as a tree, so that an override can reach inside it; an empty mapping if
    there is none.
    """
    default = None if field.is_required() else field.get_default(call_default_factory=False)
    if default is None:
        return from_python({}, origin)
    if not isinstance(default, BaseModel):
        return from_python(default, origin)
    values: dict[str, Any] = {}
    chosen = discriminator(type(default))
    if chosen is not None:
        values[chosen[0]] = chosen[1]
    # Only what the default itself sets: the rest stays open, as in a file that leaves it out.
    values |= default.model_dump(mode="json", exclude_unset=True)
    return from_python(values, origin)


@dataclass(frozen=True)
class Place:
    """A place in the file.

    Args:
        path: as the user writes it, without pydantic's tags.
        owner: the class of the mapping that holds the last key, if it is known.
        annotation: what the value may be; None for an unknown key.
    """

    path: Path
    owner: type[BaseModel] | None
    annotation: Any


def place_of_error(root: type[BaseModel], loc: Sequence[Part]) -> Place:
    """From pydantic's location of an error to the user's path.

    pydantic writes the chosen alternative into the location (``('model', 'mlp', 'hidden', 0)``),
    and for a union of plain types the name of the member that failed; neither is in the file.
    """
    path: list[Part] = []
    owner: type[BaseModel] | None = None
    annotation: Any = root
    for part in loc:
        classes = model_classes(annotation)
        if len(classes) > 1:
            # The alternative's word, which the file does not have here.
            annotation = class_of_word(classes, part)
        elif classes:
            owner = classes[0]
            field = owner.model_fields.get(str(part))
            path.append(part)
            annotation = field.annotation if field else None
        elif isinstance(part, int):
            path.append(part)
            annotation = item_annotation(annotation)
        elif free_value_annotation(annotation) is not None:
            path.append(part)
            annotation = free_value_annotation(annotation)
        elif annotation is None:
            # Below an unknown key everything is the user's.
            path.append(part)
        # What is left is the name of a union's member (``int``), which is nobody's key.
    return Place(tuple(path), owner, annotation)


def field_of_key(annotation: Any, node: Located | None, key: Part) -> FieldInfo | None:
    """The description of one key of a mapping in the file, if it is known.

    Args:
        annotation: what the mapping may be.
        node: the mapping as the file has it, which decides between alternatives.
    """
    classes = model_classes(annotation)
    cls = chosen_class(classes, node) if classes else None
    return cls.model_fields.get(str(key)) if cls is not None else None


def paths_named(
    root: type[BaseModel], node: Located | None, name: str, at: Path = ()
) -> list[Path]:
    """Where else a key of this name is allowed, given the alternatives that the file has chosen.

    Args:
        root: a class, or a union of classes.
        node: the part of the file that it describes; None where the file has none.
        name: the key.
        at: the path of ``node``.
    """
    classes = model_classes(root)
    cls = chosen_class(classes, node) if classes else None
    if cls is None:
        return []
    found: list[Path] = []
    for key, field in cls.model_fields.items():
        if key == name:
            found.append((*at, key))
        if model_classes(field.annotation) and len(at) < _DEEPEST_HINT:
            inner = node.child(key) if node is not None else None
            if inner is None:
                # What the file leaves out has the default's alternatives.
                inner = default_tree(field, Origin())
            annotation: Any = field.annotation
            found += paths_named(annotation, inner, name, (*at, key))
    return found
