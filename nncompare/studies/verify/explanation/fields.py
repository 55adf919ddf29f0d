"""What can be changed in a layer, an optimizer or a penalty, as its own description tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from nncompare.backends.base import Array
from nncompare.spec.frozen import Frozen
from nncompare.studies.verify.explanation.matching import Change, Fit

Part = TypeVar("Part", bound=Frozen)


def other_values(part: Part, make: Callable[[Part], Array | None]) -> Iterator[Change]:
    """Every switch of a description turned, and every other word that a field may hold.

    Args:
        part: a layer, an optimizer, a penalty.
        make: what the reference gives with another one.
    """
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        for other in _others(field.annotation, value):
            words = f"{name} {_word(other)} in place of {_word(value)}"
            yield words, make(part.model_copy(update={name: other}))


def numbers(part: Part, make: Callable[[Part], Array | None]) -> Iterator[Fit]:
    """Every real number of a description, to be fitted; the arguments are those of
    ``other_values``.
    """
    for name in type(part).model_fields:
        start = getattr(part, name)
        if type(start) is float:
            yield f"{name} {{0:.10g}} in place of {start:g}", start, _with(part, name, make)


def _with(
    part: Part, name: str, make: Callable[[Part], Array | None]
) -> Callable[[float], Array | None]:
    return lambda value: make(part.model_copy(update={name: value}))


def _others(annotation: Any, value: Any) -> Iterator[Any]:
    """The other values that a type names one by one."""
    if annotation is bool:
        yield not value
    elif annotation is NoneType and value is not None:
        yield None
    elif get_origin(annotation) is Literal:
        yield from (word for word in get_args(annotation) if word != value)
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            # the switch of ``bool | str`` is one only where it holds a bool
            if member is not bool or isinstance(value, bool):
                yield from _others(member, value)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)
