"""The classes of a union by the word that tells them apart, so that each is listed once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from nncompare.spec.frozen import Frozen


def members(union: Any, tag: str = "name") -> dict[str, type[Any]]:
    """The classes of ``Annotated[Sgd | Adam, Field(discriminator="name")]`` by their words.

    Args:
        union: of ``Frozen`` classes, each of them annotated or not.
        tag: the field that is one word in every class, ``name: Literal["sgd"]``.

    Returns:
        Word -> class, in the order of the union.
    """
    if get_origin(union) is Annotated:
        return members(get_args(union)[0], tag)
    if isinstance(union, type) and issubclass(union, Frozen):
        word = word_of(union, tag)
        if word is None:
            raise TypeError(f'{union.__name__}.{tag} must be one word, such as Literal["sgd"]')
        return {word: union}
    found: dict[str, type[Any]] = {}
    for member in get_args(union):
        found |= members(member, tag)
    return found


def word_of(cls: type[Frozen], tag: str) -> str | None:
    """The one word to which a class narrows the field ``tag``; None for a base class, which allows
    several.
    """
    annotation = cls.model_fields[tag].annotation
    words = get_args(annotation) if get_origin(annotation) is Literal else ()
    return str(words[0]) if len(words) == 1 else None
