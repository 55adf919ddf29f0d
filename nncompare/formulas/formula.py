"""Reads a formula such as ``x**3 + 2*x**2`` into a tree.

The text is parsed by Python's ``ast`` and never executed; what is not on the short list of names,
numbers, operators and functions is refused with its position. Numbers, exponents, length and depth
are limited before anything is computed with them, so that ``9**9**9`` costs nothing.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fractions import Fraction

from nncompare.errors import ConfigError, Problem
from nncompare.formulas.expression import (
    CONSTANTS,
    FUNCTIONS,
    Binary,
    Call,
    Constant,
    Expression,
    Number,
    Variable,
)
from nncompare.formulas.hints import CHARACTERS, NAMES, SHAPES, explain_syntax

MAX_LENGTH = 200
"""Characters."""
MAX_DEPTH = 40
"""Levels of the tree."""
MAX_EXPONENT = 100
"""Size of a constant exponent."""
MAX_SIZE = 1e100
"""Of a number and of everything that is computed from numbers alone; its inverse is the smallest.
"""

ALLOWED = f"x, numbers, {', '.join(CONSTANTS)}, + - * / **, parentheses, and {', '.join(FUNCTIONS)}"
_ALLOWED = f" Allowed: {ALLOWED}"
SOURCE = "formula"

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_REAL: dict[str, Callable[[float], float]] = {
    **{name: getattr(math, name) for name in FUNCTIONS if hasattr(math, name)},
    "sigmoid": lambda u: 1 / (1 + math.exp(-u)),
    "softplus": lambda u: math.log1p(math.exp(u)),
    "silu": lambda u: u / (1 + math.exp(-u)),
    "gelu": lambda u: u * (1 + math.erf(u / math.sqrt(2))) / 2,
    "relu": lambda u: max(u, 0.0),
    "abs": abs,
}
"""Functions of one number, for parts of a formula without ``x``."""


@dataclass(frozen=True)
class Formula:
    """A formula that was read: its text and its tree."""

    text: str
    expression: Expression


def parse(text: str) -> Formula:
    """Reads a formula of ``x``.

    Raises:
        ConfigError: every part that is not allowed, with its position and what is.
    """
    text = text.strip()
    _check_characters(text)
    try:
        with warnings.catch_warnings():  # Python warns of "2if x", which is refused anyway
            warnings.simplefilter("ignore")
            root = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column, message = explain_syntax(text, error)
        raise _error(text, column, f"{message}.{_ALLOWED}") from None
    except (ValueError, MemoryError, RecursionError):
        raise _error(text, 1, f"cannot be read.{_ALLOWED}") from None
    reader = _Reader(text)
    expression = reader.read(root, 1)
    if reader.problems:
        raise ConfigError(
            _said_once(sorted(reader.problems, key=lambda problem: problem.column or 0))
        )
    return Formula(text, expression)


def _check_characters(text: str) -> None:
    if not text:
        raise _error(text, None, f"is empty.{_ALLOWED}")
    if len(text) > MAX_LENGTH:
        raise _error(
            text[:MAX_LENGTH] + "…",
            MAX_LENGTH + 1,
            f"has {len(text)} characters, at most {MAX_LENGTH}",
        )
    for column, character in enumerate(text, 1):
        if character in CHARACTERS:
            raise _error(
                _visible(text), column, f"{character!r} is not allowed; {CHARACTERS[character]}"
            )
        if not (character.isascii() and character.isprintable()):
            raise _error(
                _visible(text), column, f"character {character!a} is not allowed.{_ALLOWED}"
            )


def _said_once(problems: list[Problem]) -> list[Problem]:
    """What is allowed stands under the last of several problems alone."""
    return [
        replace(item, message=item.message.partition(" Allowed: ")[0]) for item in problems[:-1]
    ] + problems[-1:]


def _visible(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _problem(text: str, column: int | None, message: str) -> Problem:
    return Problem(
        path="",
        message=message,
        source=SOURCE,
        column=column,
        text=None if column is None else text,
    )


def _error(text: str, column: int | None, message: str) -> ConfigError:
    return ConfigError([_problem(text, column, message)])


class _Reader:
    """Turns Python's tree into ours, noting every problem on the way."""

    def __init__(self, text: str):
        self.text = text
        self.problems: list[Problem] = []

    def refuse(self, column: int, message: str) -> Expression:
        """Notes a problem; the variable stands for the refused part."""
        self.problems.append(_problem(self.text, column, message))
        return Variable()

    def read(self, node: ast.expr, depth: int) -> Expression:
        column = node.col_offset + 1
        if depth > MAX_DEPTH:
            return self.refuse(column, f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, ast.Constant):
            return self.number(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inside = self.read(node.operand, depth + 1)
            return inside if isinstance(node.op, ast.UAdd) else Call("negative", inside)
        if isinstance(node, ast.BinOp):
            return self.binary(node, depth)
        if isinstance(node, ast.Call):
            return self.call(node, depth)
        what = SHAPES.get(type(node).__name__, "this")
        return self.refuse(column, f"{what} is not allowed.{_ALLOWED}")

    def number(self, node: ast.Constant) -> Expression:
        value, column = node.value, node.col_offset + 1
        if isinstance(value, bool) or not isinstance(value, int | float):
            shown = ast.get_source_segment(self.text, node) or "this"
            return self.refuse(column, f"{shown} is not a number.{_ALLOWED}")
        mantissa = self.text[node.col_offset : node.end_col_offset].lower().partition("e")[0]
        vanished = value == 0 and any(digit in "123456789" for digit in mantissa)
        if vanished or (value != 0 and not 1 / MAX_SIZE <= value <= MAX_SIZE):
            return self.refuse(
                column, f"this number is too {'large' if value > 1 else 'small'}; {_RANGE}"
            )
        return Number(Fraction(value) if isinstance(value, int) else Fraction(repr(value)))

    def name(self, node: ast.Name) -> Expression:
        column = node.col_offset + 1
        if node.id == "x":
            return Variable()
        if node.id in CONSTANTS:
            return Constant(node.id)
        if node.id in FUNCTIONS:
            return self.refuse(
                column + len(node.id), f"{node.id} needs its argument in parentheses: {node.id}(x)"
            )
        return self.refuse(
            column, f"{node.id!r} is not known{_hint(node.id, ('x', *CONSTANTS))}{_ALLOWED}"
        )

    def binary(self, node: ast.BinOp, depth: int) -> Expression:
        sign = _BINARY.get(type(node.op))
        begin = (
            self.text.find(
                self.text[node.left.end_col_offset :].lstrip(" )")[0], node.left.end_col_offset
            )
            + 1
        )
        left, right = self.read(node.left, depth + 1), self.read(node.right, depth + 1)
        if sign is None:
            found = SHAPES.get(type(node.op).__name__, "this operator")
            return self.refuse(begin, f"{found} is not allowed.{_ALLOWED}")
        result = Binary(sign, left, right)
        if self.problems:
            return result
        return self.checked(result, node.right.col_offset + 1 if sign == "**" else begin)

    def checked(self, found: Binary | Call, column: int) -> Expression:
        """The expression, unless what it computes from numbers alone is too large or not real."""
        try:
            if isinstance(found, Binary) and found.operator == "**":
                exponent = fold(found.right)
                if exponent is not None and abs(exponent) > MAX_EXPONENT:
                    return self.refuse(
                        column,
                        f"the exponent is {exponent:.6g}; its size may be {MAX_EXPONENT} at most",
                    )
            value = fold(found)
        except ArithmeticError as error:
            return self.refuse(column, str(error))
        except ValueError:
            return self.refuse(column, "this has no real value")
        if value is not None and abs(value) > MAX_SIZE:
            return self.refuse(column, f"this is about {value:.1e}, which is too large; {_RANGE}")
        return found

    def call(self, node: ast.Call, depth: int) -> Expression:
        column = node.col_offset + 1
        if not isinstance(node.func, ast.Name):
            if isinstance(node.func, ast.Constant | ast.BinOp | ast.UnaryOp | ast.Call):
                return self.refuse(
                    (node.func.end_col_offset or 0) + 1, "is a * missing here? Write 2*(x + 1)"
                )
            # an attribute, a subscript: the reason stands there
            return self.read(node.func, depth + 1)
        name = node.func.id
        if name == "x" or name in CONSTANTS:
            return self.refuse(
                column + len(name), f"{name} is not a function; to multiply write {name}*(…)"
            )
        if name not in FUNCTIONS:
            hint = _hint(name, tuple(FUNCTIONS))
            return self.refuse(
                column, f"there is no function {name!r}{hint} Allowed: {', '.join(FUNCTIONS)}"
            )
        if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
            return self.refuse(column + len(name), f"{name} takes exactly one argument: {name}(x)")
        found = Call(name, self.read(node.args[0], depth + 1))
        return found if self.problems else self.checked(found, column)


_RANGE = (
    f"a number without x may be {MAX_SIZE:.0e} at most, and a power or quotient {1 / MAX_SIZE:.0e}"
    " at least"
)


def _hint(name: str, known: tuple[str, ...]) -> str:
    if name in NAMES:
        return f"; {NAMES[name]}{'' if NAMES[name].endswith('?') else '.'}"
    near = get_close_matches(name.lower(), (*known, *FUNCTIONS), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else "."


def fold(expression: Expression) -> float | None:
    """The value of an expression without ``x`` as a float; None if it has one.

    Raises:
        ArithmeticError: larger than a float, a power that vanishes, a division by zero; the message
            says so.
        ValueError: not real.
    """
    if isinstance(expression, Variable):
        return None
    if isinstance(expression, Number):
        return float(expression.value)
    if isinstance(expression, Constant):
        return math.pi if expression.name == "pi" else math.e
    try:
        if isinstance(expression, Call):
            inside = fold(expression.argument)
            if inside is None:
                return None
            return (
                -inside if expression.function == "negative" else _REAL[expression.function](inside)
            )
        left, right = fold(expression.left), fold(expression.right)
        return None if left is None or right is None else _combine(expression.operator, left, right)
    except ZeroDivisionError:
        raise ArithmeticError("this divides by zero") from None
    except OverflowError:
        raise ArithmeticError(f"this is too large; {_RANGE}") from None


def _combine(operator: str, left: float, right: float) -> float:
    if operator in "+-":
        return left + right if operator == "+" else left - right
    if operator == "*":
        return left * right
    value = left / right if operator == "/" else left**right
    if isinstance(value, complex):
        raise ValueError
    if left != 0 and abs(value) < 1 / MAX_SIZE:
        raise ArithmeticError(f"this is too small; {_RANGE}")
    return float(value)
