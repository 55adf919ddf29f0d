"""The derivative of a formula by SymPy's rules, from our tree and back to it.

SymPy's expression is built from the tree; its text parser, which calls ``eval``, never sees the
formula. This is the only module that imports SymPy, and only ``gradcheck`` imports this one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy

from nncompare.errors import UsageError
from nncompare.formulas.expression import (
    COMPOSED,
    DERIVED,
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

X = sympy.Symbol("x")
_ONE = Number(Fraction(1))
MAX_NODES = 5_000
"""Of a formula in which composed functions are spelt out, and of a derivative."""
MAX_BETWEEN = 1_000
"""Nodes of a first derivative that is differentiated again: SymPy takes a minute for a few times as
many.
"""


def _function(name: str, slope: Callable[[Any], Any]) -> Any:
    """A function that SymPy differentiates by this rule and otherwise leaves alone (``abs(x)`` of a
    complex ``x`` has no derivative, which is why SymPy's own ``Abs`` does not serve).
    """

    def fdiff(self: Any, argindex: int = 1) -> Any:
        assert argindex == 1, "functions of one argument"
        return slope(self.args[0])

    return type(name, (sympy.Function,), {"fdiff": fdiff})


# Flat between their steps.
SIGN = _function("sign", lambda _: sympy.S.Zero)
STEP = _function("step", lambda _: sympy.S.Zero)
ABS = _function("abs", SIGN)
RELU = _function("relu", STEP)

# SymPy has these under the same names, with rules of their own.
_NAMED = ("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "erf")
_NAME_OF: dict[Any, str] = {
    **{getattr(sympy, name): name for name in _NAMED},
    SIGN: "sign",
    STEP: "step",
    ABS: "abs",
    RELU: "relu",
}


class _SympyArithmetic:
    """SymPy expressions as an arithmetic. It has no composed functions of its own: they are spelt
    out, so that SymPy's rules apply.
    """

    functions: Mapping[str, Callable[[Any], Any]] = {
        **{name: getattr(sympy, name) for name in (*_NAMED, "sqrt")},
        "relu": RELU,
        "abs": ABS,
        "negative": operator.neg,
        "sign": SIGN,
        "step": STEP,
    }
    operators = OPERATORS

    def number(self, value: Fraction) -> Any:
        return sympy.Rational(value.numerator, value.denominator)

    def constant(self, name: str) -> Any:
        return sympy.pi if name == "pi" else sympy.E


class _SizeArithmetic:
    """How many nodes ``_SympyArithmetic`` makes, as an arithmetic: ``silu`` and ``gelu`` write
    their argument twice, so that a nest of them doubles with every level.
    """

    functions: Mapping[str, Callable[[int], int]] = {
        **{name: lambda u: u + 1 for name in (*FUNCTIONS, *DERIVED) if name not in COMPOSED},
        # SymPy writes -u as -1 * u
        "negative": lambda u: u + 2,
    }
    operators: Mapping[str, Callable[[int, int], int]] = dict.fromkeys(
        OPERATORS, lambda u, v: u + v + 1
    )

    def number(self, value: Fraction) -> int:
        return 1

    def constant(self, name: str) -> int:
        return 1


def differentiate(expression: Expression, order: int = 1) -> tuple[Expression, str]:
    """The derivative of this order as a tree and as text.

    Raises:
        UsageError: SymPy finds none with real values, or one that is too large.
    """
    # Counted before SymPy builds anything: a nest of twenty silu has millions of parts.
    size = evaluate(expression, 1, _SizeArithmetic())
    if size > MAX_NODES:
        raise UsageError(
            f"formula: spelt out for SymPy it has {size:,} parts, at most {MAX_NODES:,}; nest silu"
            " and gelu less deeply"
        )
    found = sympy.diff(evaluate(expression, X, _SympyArithmetic()), X)
    for _ in range(order - 1):
        # Reading it back counts its parts, and stops where SymPy would take minutes.
        _TreeReader(MAX_BETWEEN).read(found)
        found = sympy.diff(found, X)
    return _TreeReader().read(found), sympy.sstr(found, full_prec=False)


class _TreeReader:
    """From SymPy to our tree. Sums and products become balanced, so that the tree stays shallow."""

    def __init__(self, most: int = MAX_NODES) -> None:
        self.count = 0
        self.most = most

    def read(self, found: Any) -> Expression:
        """The tree of one of SymPy's expressions."""
        self.count += 1
        if self.count > self.most:
            raise UsageError(
                f"formula: its derivative has more than {self.most:,} parts; take a shorter formula"
            )
        if found == X:
            return Variable()
        if found.is_Rational:
            return Number(Fraction(int(found.p), int(found.q)))
        if found == sympy.pi:
            return Constant("pi")
        if found == sympy.E:
            return Constant("e")
        if found.is_Add:
            return self._balanced("+", list(found.as_ordered_terms()))
        if found.is_Mul:
            return self._product(found)
        if found.is_Pow:
            return self._power(found.base, found.exp)
        if found.func in _NAME_OF:
            return Call(_NAME_OF[found.func], self.read(found.args[0]))
        # SymPy's name for 1/tan, as in tan(x + pi/2); no formula has it.
        if isinstance(found, sympy.cot):
            return Binary("/", _ONE, Call("tan", self.read(found.args[0])))
        raise UsageError(f"formula: its derivative has no real value ({sympy.sstr(found)[:60]})")

    def _balanced(self, sign: str, parts: list[Any]) -> Expression:
        """A sum or product as a tree whose halves have the same number of parts."""
        if len(parts) == 1:
            return self.read(parts[0])
        middle = len(parts) // 2
        left = self._balanced(sign, parts[:middle])
        right = self._balanced(sign, parts[middle:])
        return Binary(sign, left, right)

    def _product(self, found: Any) -> Expression:
        """A product; what SymPy writes as a negative power becomes a divisor."""
        above = []
        below = []
        for factor in sympy.Mul.make_args(found):
            if factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
                below.append(sympy.Pow(factor.base, -factor.exp))
            else:
                above.append(factor)
        negative = bool(above) and above[0] == -1
        # -x is one operation for a framework, -1*x is a product.
        if negative:
            above = above[1:]
        result: Expression = _ONE
        if above:
            result = self._balanced("*", above)
        if below:
            result = Binary("/", result, self._balanced("*", below))
        return Call("negative", result) if negative else result

    def _power(self, base: Any, exponent: Any) -> Expression:
        if exponent.is_Rational and exponent < 0:
            return Binary("/", _ONE, self.read(sympy.Pow(base, -exponent)))
        # IEEE 754 rounds a root right; nobody promises that of a power.
        if exponent == sympy.S.Half:
            return Call("sqrt", self.read(base))
        return Binary("**", self.read(base), self.read(exponent))
