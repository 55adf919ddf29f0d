"""Reads a formula such as ``x**3 + 2*x**2`` into a tree.

The text is parsed by Python's ``ast`` and never executed; what is not on the short list of names,
numbers, operators and functions is refused with its position. Numbers, exponents, length and depth
are limited before anything is computed with them, so that ``9**9**9`` costs nothing.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from nncompare.errors import ConfigError, Problem, did_you_mean
from nncompare.formulas.expression import (
    CONSTANTS,
    FUNCTIONS,
    OPERATORS,
    Binary,
    Call,
    Constant,
    Expression,
    Number,
    Variable,
    evaluate,
)
from nncompare.formulas.hints import CHARACTERS, NAMES, SHAPES, explain_syntax, problem

MAX_LENGTH = 200
"""Characters."""
MAX_DEPTH = 40
"""Levels of the tree."""
MAX_EXPONENT = 100
"""Size of a constant exponent."""
MAX_SIZE = 1e100
"""Of a number and of everything that is computed from numbers alone; its inverse is the smallest.
"""

_ALLOWED = (
    f" Allowed: x, numbers, {', '.join(CONSTANTS)}, + - * / **, parentheses, and"
    f" {', '.join(FUNCTIONS)}"
)
_RANGE = (
    f"a number without x may be {MAX_SIZE:.0e} at most, and a power or quotient {1 / MAX_SIZE:.0e}"
    " at least"
)
SOURCE = "formula"

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
# Functions of one number, for parts of a formula without x.
_REAL: dict[str, Callable[[float], float]] = {
    **{name: getattr(math, name) for name in FUNCTIONS if hasattr(math, name)},
    "sigmoid": lambda u: 1 / (1 + math.exp(-u)),
    "softplus": lambda u: math.log1p(math.exp(u)),
    "silu": lambda u: u / (1 + math.exp(-u)),
    "gelu": lambda u: u * (1 + math.erf(u / math.sqrt(2))) / 2,
    "relu": lambda u: max(u, 0.0),
    "abs": abs,
    "negative": lambda u: -u,
}


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
        with warnings.catch_warnings():
            # Python warns of "2if x", which is refused anyway.
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
        # The reader meets them in the order of the tree, a person reads them in that of the text.
        problems = sorted(reader.problems, key=lambda item: item.column or 0)
        raise ConfigError(_said_once(problems))
    return Formula(text, expression)


def _check_characters(text: str) -> None:
    """Refuses what Python's parser would stumble over, or read in a way of its own.

    Raises:
        ConfigError: empty, too long, or a character that no formula has.
    """
    if not text:
        raise _error(text, None, f"is empty.{_ALLOWED}")
    if len(text) > MAX_LENGTH:
        message = f"has {len(text)} characters, at most {MAX_LENGTH}"
        raise _error(text[:MAX_LENGTH] + "…", MAX_LENGTH + 1, message)
    for column, character in enumerate(text, 1):
        if character in CHARACTERS:
            message = f"{character!r} is not allowed; {CHARACTERS[character]}"
            raise _error(text, column, message)
        if not (character.isascii() and character.isprintable()):
            message = f"character {character!a} is not allowed.{_ALLOWED}"
            raise _error(text, column, message)


def _said_once(problems: list[Problem]) -> list[Problem]:
    """What is allowed stands under the last of several problems alone."""
    shortened = []
    for item in problems[:-1]:
        shortened.append(replace(item, message=item.message.partition(" Allowed: ")[0]))
    return [*shortened, problems[-1]]


def _error(text: str, column: int | None, message: str) -> ConfigError:
    return ConfigError([problem(SOURCE, text, column, message)])


class _Reader:
    """Turns Python's tree into ours, noting every problem on the way."""

    def __init__(self, text: str):
        self.text = text
        self.problems: list[Problem] = []

    def refuse(self, column: int, message: str) -> Expression:
        """Notes a problem; the variable stands for the refused part."""
        self.problems.append(problem(SOURCE, self.text, column, message))
        return Variable()

    def read(self, node: ast.expr, depth: int) -> Expression:
        """Our tree of one of Python's nodes.

        Args:
            depth: levels above, this one counted.
        """
        column = node.col_offset + 1
        # Every evaluation recurses over the tree, a framework's tracing many calls a level.
        if depth > MAX_DEPTH:
            return self.refuse(column, f"is nested deeper than {MAX_DEPTH} levels")
        match node:
            case ast.Constant():
                return self.number(node)
            case ast.Name():
                return self.name(node)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.read(node.operand, depth + 1)
            case ast.UnaryOp(op=ast.USub()):
                return Call("negative", self.read(node.operand, depth + 1))
            case ast.BinOp():
                return self.binary(node, depth)
            case ast.Call():
                return self.call(node, depth)
            case _:
                # All else that Python knows: lambdas, attributes, comparisons, text, …
                what = SHAPES.get(type(node).__name__, "this")
                return self.refuse(column, f"{what} is not allowed.{_ALLOWED}")

    def number(self, node: ast.Constant) -> Expression:
        value = node.value
        column = node.col_offset + 1
        # True is a whole number for Python.
        if isinstance(value, bool) or not isinstance(value, int | float):
            shown = ast.get_source_segment(self.text, node) or "this"
            return self.refuse(column, f"{shown} is not a number.{_ALLOWED}")
        # 1e-999 is 0 for Python, and is not meant as 0.
        mantissa = self.text[node.col_offset : node.end_col_offset].lower().partition("e")[0]
        vanished = value == 0 and any(digit in "123456789" for digit in mantissa)
        if vanished or (value != 0 and not 1 / MAX_SIZE <= value <= MAX_SIZE):
            size = "large" if value > 1 else "small"
            return self.refuse(column, f"this number is too {size}; {_RANGE}")
        # The shortest text that gives this float is what was written, up to its sixteenth digit.
        return Number(Fraction(repr(value)))

    def name(self, node: ast.Name) -> Expression:
        column = node.col_offset + 1
        if node.id == "x":
            return Variable()
        if node.id in CONSTANTS:
            return Constant(node.id)
        # "sin x", or "sin" alone
        if node.id in FUNCTIONS:
            message = f"{node.id} needs its argument in parentheses: {node.id}(x)"
            return self.refuse(column + len(node.id), message)
        hint = _hint(node.id, ("x", *CONSTANTS))
        return self.refuse(column, f"{node.id!r} is not known{hint}{_ALLOWED}")

    def binary(self, node: ast.BinOp, depth: int) -> Expression:
        # Python does not say where the operator stands: it is what follows the left side.
        end_of_left = node.left.end_col_offset or 0
        first_of_operator = self.text[end_of_left:].lstrip(" )")[0]
        column = self.text.find(first_of_operator, end_of_left) + 1
        left = self.read(node.left, depth + 1)
        right = self.read(node.right, depth + 1)
        sign = _BINARY.get(type(node.op))
        if sign is None:
            found = SHAPES.get(type(node.op).__name__, "this operator")
            return self.refuse(column, f"{found} is not allowed.{_ALLOWED}")
        result = Binary(sign, left, right)
        if self.problems:
            # A refused part has no value to look at.
            return result
        return self.checked(result, node.right.col_offset + 1 if sign == "**" else column)

    def checked(self, found: Binary | Call, column: int) -> Expression:
        """The expression, unless what it computes from numbers alone is too large or not real."""
        try:
            if isinstance(found, Binary) and found.operator == "**":
                # Before the value, for a better reason than its size: SymPy would compute 9**9**9.
                exponent = constant_value(found.right)
                if exponent is not None and abs(exponent) > MAX_EXPONENT:
                    message = (
                        f"the exponent is {exponent:.6g}; its size may be {MAX_EXPONENT} at most"
                    )
                    return self.refuse(column, message)
            value = constant_value(found)
        except ArithmeticError as error:
            return self.refuse(column, str(error))
        except ValueError:
            return self.refuse(column, "this has no real value")
        if value is not None and abs(value) > MAX_SIZE:
            return self.refuse(column, f"this is about {value:.1e}, which is too large; {_RANGE}")
        return found

    def call(self, node: ast.Call, depth: int) -> Expression:
        column = node.col_offset + 1
        # ``2(x + 1)``, ``(x + 1)(x - 1)``
        if isinstance(node.func, ast.Constant | ast.BinOp | ast.UnaryOp | ast.Call):
            end = (node.func.end_col_offset or 0) + 1
            return self.refuse(end, "is a * missing here? Write 2*(x + 1)")
        if not isinstance(node.func, ast.Name):
            # An attribute, a subscript: the reason is said there.
            return self.read(node.func, depth + 1)
        name = node.func.id
        # "x(x + 1)" is a product without its star
        if name == "x" or name in CONSTANTS:
            message = f"{name} is not a function; to multiply write {name}*(…)"
            return self.refuse(column + len(name), message)
        if name not in FUNCTIONS:
            hint = _hint(name, ())
            message = f"there is no function {name!r}{hint} Allowed: {', '.join(FUNCTIONS)}"
            return self.refuse(column, message)
        # "sin(x=1)" and "sin(*x)" have an argument that is none of a formula
        if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
            return self.refuse(column + len(name), f"{name} takes exactly one argument: {name}(x)")
        found = Call(name, self.read(node.args[0], depth + 1))
        return found if self.problems else self.checked(found, column)


def _hint(name: str, known: tuple[str, ...]) -> str:
    """What was meant by a name, up to the end of the sentence."""
    if name in NAMES:
        return f"; {NAMES[name]}{'' if NAMES[name].endswith('?') else '.'}"
    return did_you_mean(name, (*known, *FUNCTIONS))


def constant_value(expression: Expression) -> float | None:
    """The value of an expression without ``x`` as a float; None if it has an ``x``.

    Raises:
        ArithmeticError: larger than a float, a power that vanishes, a division by zero; the message
            says so.
        ValueError: not real.
    """
    try:
        value: float | None = evaluate(expression, None, _Constants())
    except ZeroDivisionError:
        raise ArithmeticError("this divides by zero") from None
    except OverflowError:
        raise ArithmeticError(f"this is too large; {_RANGE}") from None
    return value


def _known(function: Callable[..., float]) -> Callable[..., float | None]:
    """The function of floats; None where an argument has an ``x``."""

    def guarded(*values: float | None) -> float | None:
        return None if None in values else function(*values)

    return guarded


def _bounded(function: Callable[[float, float], Any]) -> Callable[[float, float], float]:
    """A quotient or a power, if it is real and no vanished one."""

    def guarded(left: float, right: float) -> float:
        value = function(left, right)
        # A negative number to a power that is not whole is complex for Python.
        if isinstance(value, complex):
            raise ValueError
        if left != 0 and abs(value) < 1 / MAX_SIZE:
            raise ArithmeticError(f"this is too small; {_RANGE}")
        return float(value)

    return guarded


class _Constants:
    """Floats as an arithmetic; None stands for all that has an ``x``."""

    functions = {name: _known(function) for name, function in _REAL.items()}
    operators = {
        **{sign: _known(operation) for sign, operation in OPERATORS.items()},
        "/": _known(_bounded(operator.truediv)),
        "**": _known(_bounded(operator.pow)),
    }

    def number(self, value: Fraction) -> float | None:
        return float(value)

    def constant(self, name: str) -> float | None:
        return math.pi if name == "pi" else math.e
