"""Unions of classes, and the word that tells their members apart, so that each is listed once."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

_DISCRIMINATORS = ("type", "family", "name")
"""The fields by whose value alternatives are told apart."""

Base = TypeVar("Base", bound=BaseModel)


def alternatives(annotation: Any) -> list[Any]:
    """What a value may be: the members of a union, without ``Annotated``, as a flat list."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin not in (Union, UnionType):
        return [annotation]
    found: list[Any] = []
    for member in get_args(annotation):
        found += alternatives(member)
    return found


def model_classes(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models among the alternatives."""
    found = []
    for item in alternatives(annotation):
        # a list's annotation is no class
        if isinstance(item, type) and issubclass(item, BaseModel):
            found.append(item)
    return found


def members(union: Any) -> dict[str, type[Any]]:
    """The classes of ``Annotated[Sgd | Adam, Field(discriminator="name")]`` by their words.

    Args:
        union: of ``Frozen`` classes, each of them annotated or not, and of other types.

    Returns:
        Word -> class, in the order of the union.

    Raises:
        TypeError: a class has no word of its own.
    """
    found: dict[str, type[Any]] = {}
    for cls in model_classes(union):
        chosen = discriminator(cls)
        if chosen is None:
            tag = tag_of(union)
            raise TypeError(f'{cls.__name__}.{tag} must be one word, such as Literal["sgd"]')
        found[chosen[1]] = cls
    return found


def discriminator(cls: type[BaseModel]) -> tuple[str, str] | None:
    """``("family", "mlp")``: the field and the word that choose this class among others; None of a
    class that stands alone.
    """
    for name in _DISCRIMINATORS:
        word = word_of(cls, name)
        if word is not None:
            return name, word
    return None


def tag_of(union: Any) -> str:
    """The field by which the classes of a union are told apart: ``family``."""
    chosen = discriminator(model_classes(union)[0])
    return chosen[0] if chosen else "name"


def word_of(cls: type[BaseModel], tag: str) -> str | None:
    """The one word to which a class narrows the field ``tag``; None if it allows several, as a base
    class does, or has no such field.
    """
    field = cls.model_fields.get(tag)
    if field is None or get_origin(field.annotation) is not Literal:
        return None
    words = get_args(field.annotation)
    # a field with several words (a goal's ``name``) chooses nothing
    return str(words[0]) if len(words) == 1 else None


def defined_in(package: ModuleType, base: type[Base], tag: str) -> dict[str, type[Base]]:
    """The classes that the modules of a package define, without those that they import.

    Args:
        package: its modules are imported, in the order of their names.
        base: what the classes derive from.
        tag: the field that is one word in every finished class; others are bases themselves.

    Returns:
        Word -> class.

    Raises:
        TypeError: two classes have the same word.
    """
    found: dict[str, type[Base]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if not isinstance(value, type) or not issubclass(value, base):
                continue
            word = word_of(value, tag)
            if word is None or value.__module__ != module.__name__:
                continue
            if word in found:
                raise TypeError(f"{value.__name__} and {found[word].__name__} are both {word!r}")
            found[word] = value
    return found
