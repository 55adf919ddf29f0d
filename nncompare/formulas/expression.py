"""A formula of one variable as a small frozen tree. Knows no framework, no NumPy, no SymPy.

``evaluate`` walks the tree with an arithmetic: NumPy arrays, numbers of high precision, SymPy
expressions and each framework's tensors all go through this one walk, so that a formula means the
same everywhere.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeVar, assert_never

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
"""By sign, as Python has them."""
CONSTANTS = ("pi", "e")
FUNCTIONS = (
    "exp",  # exponential
    "log",  # natural logarithm
    "sqrt",  # square root
    "sin",  # sine
    "cos",  # cosine
    "tan",  # tangent
    "asin",  # inverse sine
    "acos",  # inverse cosine
    "atan",  # inverse tangent
    "sinh",  # hyperbolic sine
    "cosh",  # hyperbolic cosine
    "tanh",  # hyperbolic tangent
    "erf",  # error function
    "sigmoid",  # 1 / (1 + exp(-u))
    "softplus",  # log(1 + exp(u))
    "silu",  # u * sigmoid(u)
    "gelu",  # u * (1 + erf(u / sqrt(2))) / 2
    "relu",  # the larger of u and 0
    "abs",  # size without sign
)
"""Functions of a formula; every backend has all of them."""
DERIVED = ("negative", "sign", "step")
"""Further functions that a tree may hold: unary minus, and the derivatives of ``abs`` and ``relu``.
"""

T = TypeVar("T")


@dataclass(frozen=True)
class Variable:
    """``x``"""


@dataclass(frozen=True)
class Number:
    """A number as it was written, exactly: ``0.1`` is one tenth, not the binary number next
    to it.
    """

    value: Fraction


@dataclass(frozen=True)
class Constant:
    """``pi`` or ``e``"""

    name: str


@dataclass(frozen=True)
class Call:
    """A function of one argument; one of ``FUNCTIONS`` or ``DERIVED``."""

    function: str
    argument: Expression


@dataclass(frozen=True)
class Binary:
    """One of ``OPERATORS`` between two expressions."""

    operator: str
    left: Expression
    right: Expression


Expression = Variable | Number | Constant | Call | Binary

_X = Variable()
_ONE = Number(Fraction(1))
_TWO = Number(Fraction(2))
_LOGISTIC_DIVISOR = Binary("+", _ONE, Call("exp", Call("negative", _X)))
_NORMAL = Binary("+", _ONE, Call("erf", Binary("/", _X, Call("sqrt", _TWO))))
COMPOSED: dict[str, Expression] = {
    # 1 / (1 + exp(-x))
    "sigmoid": Binary("/", _ONE, _LOGISTIC_DIVISOR),
    # log(1 + exp(x))
    "softplus": Call("log", Binary("+", _ONE, Call("exp", _X))),
    # x / (1 + exp(-x))
    "silu": Binary("/", _X, _LOGISTIC_DIVISOR),
    # x * (1 + erf(x / sqrt(2))) / 2
    "gelu": Binary("/", Binary("*", _X, _NORMAL), _TWO),
}
"""Functions that are spelt out for an arithmetic that has none of its own."""


class Arithmetic(Protocol[T]):
    """How to compute with ``T``: the primitives that an evaluation needs."""

    @property
    def functions(self) -> Mapping[str, Callable[[T], T]]:
        """By name, all of ``FUNCTIONS`` and ``DERIVED``; those of ``COMPOSED`` may be missing."""

    @property
    def operators(self) -> Mapping[str, Callable[[T, T], T]]:
        """By sign, all of ``OPERATORS``."""

    def number(self, value: Fraction) -> T:
        """A number."""

    def constant(self, name: str) -> T:
        """``pi`` or ``e``."""


def evaluate(expression: Expression, x: T, arithmetic: Arithmetic[T]) -> T:
    """The expression's value at ``x``, with this arithmetic."""
    match expression:
        case Variable():
            return x
        case Number(value):
            return arithmetic.number(value)
        case Constant(name):
            return arithmetic.constant(name)
        case Call(function, argument):
            inner = evaluate(argument, x, arithmetic)
            # A framework's own silu is what is compared, where it has one.
            if function in arithmetic.functions:
                return arithmetic.functions[function](inner)
            return evaluate(COMPOSED[function], inner, arithmetic)
        case Binary(sign, left, right):
            first = evaluate(left, x, arithmetic)
            second = evaluate(right, x, arithmetic)
            return arithmetic.operators[sign](first, second)
        case _:
            assert_never(expression)


def nodes(expression: Expression) -> Iterator[Expression]:
    """Every node, the root first."""
    yield expression
    match expression:
        case Call(_, argument):
            yield from nodes(argument)
        case Binary(_, left, right):
            yield from nodes(left)
            yield from nodes(right)


def to_data(expression: Expression) -> list[Any]:
    """The tree as nested lists for JSON: ``["*", ["number", "2"], ["x"]]``."""
    match expression:
        case Variable():
            return ["x"]
        case Number(value):
            return ["number", str(value)]
        case Constant(name):
            return ["constant", name]
        case Call(function, argument):
            return ["call", function, to_data(argument)]
        case Binary(sign, left, right):
            return [sign, to_data(left), to_data(right)]
        case _:
            assert_never(expression)


def from_data(data: list[Any]) -> Expression:
    """The tree that ``to_data`` wrote.

    Raises:
        ValueError: something else.
    """
    match data:
        case ["x"]:
            return Variable()
        case ["number", value]:
            return Number(Fraction(value))
        case ["constant", name] if name in CONSTANTS:
            return Constant(name)
        case ["call", name, argument] if name in FUNCTIONS or name in DERIVED:
            return Call(name, from_data(argument))
        case [sign, left, right] if sign in OPERATORS:
            return Binary(sign, from_data(left), from_data(right))
        case _:
            raise ValueError(f"not a node of an expression: {data[0]!r}")
