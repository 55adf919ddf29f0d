"""What a formula is computed from, and the changes of it that are the same for every quantity:
other meanings of what frameworks disagree on, other words and other numbers of a description.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from nncompare.backends.base import Array
from nncompare.spec.training import Penalty
from nncompare.studies.verify.context import Context


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a formula is computed from; a change replaces one thing.

    Args:
        context: of the check; its semantics are what can be changed.
        part: the description at work: of a layer, an optimizer or the penalty; None: of nothing.
        training: whether masks and the statistics of a batch are at work.
        touch: ``(name, value)`` -> value: what happens to a value on its way into the formula,
            which hands everything that may go wrong through it.
        after: what happens to the result.
    """

    context: Context
    part: Any = None
    training: bool = True
    touch: Callable[[str, Any], Any] = lambda _, value: value
    after: Callable[[Array], Array] = lambda made: made

    def on(self, names: Collection[str], change: Callable[[Any], Any]) -> Inputs:
        """With ``change`` made to the values of these names."""

        def touch(name: str, value: Any) -> Any:
            return change(value) if name in names else value

        return replace(self, touch=touch)

    def with_values(self, values: Mapping[str, Any]) -> Inputs:
        """With other values in place of those of the same names."""
        return replace(self, touch=lambda name, value: values.get(name, value))

    def result(self, change: Callable[[Array], Array]) -> Inputs:
        """With ``change`` made to the result."""
        return replace(self, after=change)

    def only_after(self, right: Inputs) -> bool:
        """Whether nothing but the result is another than it should be."""
        same = self.touch is right.touch and self.context is right.context
        return same and self.part is right.part and self.training == right.training

    def with_field(self, name: str, value: Any) -> Inputs:
        """With another value of one field of the description."""
        return replace(self, part=self.part.model_copy(update={name: value}))


Change = tuple[str, Inputs]
"""Words, and the inputs with this change."""
Fit = tuple[str, "float | Array", Callable[[float], Inputs]]
"""Words for the value ``{0}`` of one number; where to begin the search for it, its right value or
several values to choose from; and the inputs with another one.
"""


def meanings(inputs: Inputs) -> Iterator[Change]:
    """Other documented meanings of what frameworks disagree on."""
    context = inputs.context
    for other in context.semantics.alternatives(context.job):
        words = f"{other.setting}: {other.words}"
        if context.job.native:
            words = f"{other.setting} is {other.words}, which is not what is declared"
        yield words, replace(inputs, context=replace(context, semantics=other.semantics))


def other_values(inputs: Inputs) -> Iterator[Change]:
    """Every switch of the description turned, and every other word that a field may hold."""
    for name, field in _fields(inputs).items():
        value = getattr(inputs.part, name)
        for other in _others(field.annotation, value):
            words = f"{name} {_word(other)} in place of {_word(value)}"
            yield words, inputs.with_field(name, other)


def numbers(inputs: Inputs) -> Iterator[Fit]:
    """Every real number of the description, to be fitted."""
    for name in _fields(inputs):
        start = getattr(inputs.part, name)
        if type(start) is float:
            words = f"{name} {{0:.10g}} in place of {start:g}"
            yield words, start, partial(inputs.with_field, name)


def another_penalty(inputs: Inputs, adds: Callable[[Penalty], Array]) -> Iterator[Fit]:
    """Every number of the experiment's penalty, to be fitted.

    Args:
        adds: what a penalty adds to the result.
    """
    own = inputs.context.job.experiment.train.penalty

    def with_number(change: Callable[[float], Inputs], value: float) -> Inputs:
        other = change(value).part
        return inputs.result(lambda made: made - adds(own) + adds(other))

    for words, start, change in numbers(replace(inputs, part=own)):
        yield words, start, partial(with_number, change)


def times(inputs: Inputs, names: Collection[str], words: str) -> Fit:
    """Some values times one factor."""
    return words, 1.0, lambda factor: inputs.on(names, lambda value: factor * value)


def counts(inputs: Inputs, words: str, part: Array | float, start: float = 1.0) -> Fit:
    """A part of the result counts another number of times than ``start``."""
    return words, start, lambda number: inputs.result(lambda made: made + (number - start) * part)


def to_float32(values: Array) -> Array:
    return np.asarray(values, np.float32).astype(np.float64)


def _fields(inputs: Inputs) -> Mapping[str, Any]:
    return getattr(type(inputs.part), "model_fields", {})


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
