"""What people write in formulas by habit, and what to write instead."""

from __future__ import annotations

import re

from nncompare.errors import Problem
from nncompare.formulas.expression import FUNCTIONS

CHARACTERS = {
    "×": "write *",
    "·": "write *",
    "⋅": "write *",
    "∗": "write *",
    "÷": "write /",
    "−": "write - (this one is a typographic minus)",
    "–": "write - (this one is a dash)",
    "²": "write **2",
    "³": "write **3",
    "√": "write sqrt(…)",
    "π": "write pi",
    "∞": "points and numbers are finite",
    "#": "a formula has no comments",
    "\\": "a formula has no backslashes",
    "$": "leave it out",
}
"""Characters that are refused, and what to do."""

NAMES = {
    "ln": "did you mean 'log'? It is the natural logarithm",
    "log10": "write log(x)/log(10)",
    "log2": "write log(x)/log(2)",
    "exp2": "write 2**x",
    "pow": "write x**2",
    "power": "write x**2",
    "square": "write x**2",
    "cbrt": "write x**(1/3), for x of at least 0",
    "arcsin": "did you mean 'asin'?",
    "arccos": "did you mean 'acos'?",
    "arctan": "did you mean 'atan'?",
    "cot": "write 1/tan(x)",
    "sec": "write 1/cos(x)",
    "csc": "write 1/sin(x)",
    "fabs": "did you mean 'abs'?",
    "absolute": "did you mean 'abs'?",
    "logistic": "did you mean 'sigmoid'?",
    "expit": "did you mean 'sigmoid'?",
    "swish": "did you mean 'silu'?",
    "sign": "it has no derivative to look at",
    "X": "did you mean 'x'?",
    "y": "the variable is x",
    "t": "the variable is x",
    "z": "the variable is x",
    "E": "did you mean 'e'?",
    "Pi": "did you mean 'pi'?",
    "PI": "did you mean 'pi'?",
}
"""Names that are refused, and what to write instead."""

SHAPES = {
    "BitXor": "'^' (a power is written **)",
    "FloorDiv": "'//' (a quotient is written /)",
    "Mod": "'%'",
    "MatMult": "'@'",
    "BitOr": "'|' (the size is written abs(x))",
    "BitAnd": "'&'",
    "LShift": "'<<'",
    "RShift": "'>>'",
    "Attribute": "a dot after a name",
    "Subscript": "an index in brackets",
    "Lambda": "a lambda",
    "NamedExpr": "an assignment",
    "Compare": "a comparison",
    "BoolOp": "'and' or 'or'",
    "UnaryOp": "'not' or '~'",
    "IfExp": "'if'",
    "Tuple": "a comma",
    "List": "a list",
    "Set": "a set",
    "Dict": "a mapping",
    "ListComp": "a comprehension",
    "SetComp": "a comprehension",
    "DictComp": "a comprehension",
    "GeneratorExp": "a comprehension",
    "JoinedStr": "text in quotes",
    "Await": "'await'",
    "Yield": "'yield'",
    "YieldFrom": "'yield'",
    "Starred": "a star before a name",
}
"""Kinds of Python's tree in words."""

_MISSING_STAR = re.compile(
    r"(?<![\w.])\d+\.?\d*(?=\s*[A-Za-df-z_(])|\)(?=\s*[\w(])|\bx(?=\s*[\d(])|\bx(?=\s+\w)"
)
_CALL_WITHOUT = re.compile(rf"\b({'|'.join((*FUNCTIONS, 'ln'))})\b(?=\s+[\w.])")


def problem(source: str, text: str, column: int | None, message: str) -> Problem:
    """A problem with its place; what a terminal cannot print stands as a question mark.

    Args:
        column: None: the text has no place to point at.
    """
    shown = None
    if column is not None:
        shown = "".join(character if character.isprintable() else "?" for character in text)
    return Problem(path="", message=message, source=source, column=column, text=shown)


def explain_syntax(text: str, error: SyntaxError) -> tuple[int, str]:
    """The column and the reason of what Python cannot read."""
    column = min(max(error.offset or 1, 1), len(text) + 1)
    said = error.msg or ""
    if "never closed" in said or "unmatched" in said or "does not match" in said:
        return column, said
    # Before the star: "sin x" lacks parentheses, not a product.
    if found := _CALL_WITHOUT.search(text):
        return (
            found.end() + 1,
            f"the argument of a function stands in parentheses: {found.group()}(x)",
        )
    if found := _MISSING_STAR.search(text):
        return found.end() + 1, "is a * missing here? Write 2*x"
    if "assign" in said or "'='" in said or "=" in text:
        return text.find("=") + 1 or column, "a formula has no '='"
    if column > len(text) or text[-1] in "+-*/(":
        return len(text) + 1, "something is missing at the end"
    return column, "cannot be read from here on"
