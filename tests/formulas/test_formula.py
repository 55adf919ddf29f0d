"""Formulas and points: what is read, what is refused and where, and that nothing is ever
executed.
"""

from __future__ import annotations

import builtins
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompare.errors import ConfigError, UsageError
from nncompare.formulas.evaluation import compute
from nncompare.formulas.exact import exact_values
from nncompare.formulas.expression import (
    FUNCTIONS,
    Binary,
    Call,
    Constant,
    Number,
    Variable,
    from_data,
    nodes,
    to_data,
)
from nncompare.formulas.formula import MAX_DEPTH, MAX_EXPONENT, MAX_LENGTH, parse
from nncompare.formulas.points import MAX_COUNT, parse_points
from nncompare.formulas.symbolic import differentiate

X = Variable()


def number(value: object) -> Number:
    return Number(Fraction(str(value)))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x", X),
        (" x ", X),
        ("2*x", Binary("*", number(2), X)),
        ("-x**2", Call("negative", Binary("**", X, number(2)))),
        ("+x", X),
        ("2**-1", Binary("**", number(2), Call("negative", number(1)))),
        ("0.1", Number(Fraction(1, 10))),
        ("1e-3", Number(Fraction(1, 1000))),
        ("pi/e", Binary("/", Constant("pi"), Constant("e"))),
        ("sin(x)", Call("sin", X)),
        ("x - 1 - 2", Binary("-", Binary("-", X, number(1)), number(2))),
        ("x**2**3", Binary("**", X, Binary("**", number(2), number(3)))),
    ],
)
def test_reads(text: str, tree: object) -> None:
    assert parse(text).expression == tree


REFUSED = [
    # names and calls
    ("y", 1, "'y' is not known; the variable is x"),
    ("X", 1, "did you mean 'x'"),
    ("sgmoid(x)", 1, "did you mean 'sigmoid'"),
    ("ln(x)", 1, "did you mean 'log'"),
    ("2*arcsin(x)", 3, "did you mean 'asin'"),
    ("foo(x)", 1, "there is no function 'foo'"),
    ("sin", 4, "sin(x)"),
    ("sin(x, x)", 4, "exactly one argument"),
    ("sin()", 4, "exactly one argument"),
    ("sin(x=1)", 4, "exactly one argument"),
    ("sin(*x)", 4, "exactly one argument"),
    ("x(2)", 2, "x is not a function"),
    ("2(x + 1)", 2, "is a * missing"),
    # what Python can and a formula must not
    ("__import__('os').system('true')", 1, "a dot after a name"),
    ("__import__('os')", 1, "no function '__import__'"),
    ("eval('1')", 1, "no function 'eval'"),
    ("x.__class__", 1, "a dot after a name"),
    ("(1).real", 1, "a dot after a name"),
    ("x[0]", 1, "an index"),
    ("(lambda: x)()", 2, "a lambda"),
    ("lambda: x", 1, "a lambda"),
    ("(x:=2)", 2, "an assignment"),
    ("[x for x in x]", 1, "a comprehension"),
    ("{x}", 1, "a set"),
    ("{x: x}", 1, "a mapping"),
    ("(x for x in x)", 1, "a comprehension"),
    ("x if x else 1", 1, "'if'"),
    ("x < 1", 1, "a comparison"),
    ("x and 1", 1, "'and'"),
    ("not x", 1, "'not'"),
    ("~x", 1, "'~'"),
    ("x, 1", 1, "a comma"),
    ("'x'", 1, "is not a number"),
    ("b'x'", 1, "is not a number"),
    ("f'{x}'", 1, "text in quotes"),
    ("True*x", 1, "is not a number"),
    ("None", 1, "is not a number"),
    ("...", 1, "is not a number"),
    ("1j*x", 1, "is not a number"),
    ("x^2", 2, "written **"),
    ("(x + 1)^2", 8, "written **"),
    ("x // 2", 3, "written /"),
    ("x % 2", 3, "'%'"),
    ("x @ x", 3, "'@'"),
    ("x | 1", 3, "abs(x)"),
    ("x << 2", 3, "'<<'"),
    # what Python cannot read
    ("", None, "is empty"),
    ("   ", None, "is empty"),
    ("x +", 4, "missing at the end"),
    ("(x", 1, "never closed"),
    ("x)", 2, "unmatched"),
    ("2x", 2, "is a * missing"),
    ("sin x", 4, "sin(x)"),
    ("x = 2", 3, "no '='"),
    ("x; x", 2, "cannot be read"),
    ("import os", 1, "cannot be read"),
    ("def f", 1, "cannot be read"),
    ("yield x", 1, ""),
    # characters
    ("x²", 2, "**2"),
    ("2×x", 2, "write *"),
    ("π*x", 1, "write pi"),
    ("x − 1", 3, "typographic minus"),
    ("𝑥**2", 1, "is not allowed"),
    ("sın(x)", 2, "is not allowed"),
    ("x # x", 3, "no comments"),
    ("x\n+1", 2, "is not allowed"),
    ("x\x00", 2, "is not allowed"),
    ("x\x1b[31m", 2, "is not allowed"),
    # sizes
    ("9**9**9", 4, "exponent"),
    ("9**9**9**9**9", 10, "exponent"),
    (f"x**{MAX_EXPONENT + 1}", 4, "exponent"),
    ("x**-101", 4, "exponent"),
    ("x**exp(9)", 4, "exponent"),
    ("((2**100)**100)**100", 12, "too large"),
    ("(0.5**100)**100", 13, "too small"),
    ("1e400*x", 1, "too large"),
    ("1e-400*x", 1, "too small"),
    ("9" * 150, 1, "too large"),
    ("exp(1000)", 1, "too large"),
    ("10**100*10", 8, "too large"),
    ("1/0", 2, "divides by zero"),
    ("0**-1", 4, "divides by zero"),
    ("log(-1)", 1, "no real value"),
    ("sqrt(1 - 2)", 1, "no real value"),
    ("(0 - 8)**(1/3)", 11, "no real value"),
    ("x" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "characters"),
    ("-" * (MAX_DEPTH + 1) + "x", MAX_DEPTH + 1, "deeper"),
    ("-sin(" * 30 + "x" + ")" * 30, 101, "deeper"),
    ("(" * 199, 1, ""),
]


@pytest.mark.parametrize(
    ("text", "column", "words"), REFUSED, ids=[repr(text)[:40] for text, *_ in REFUSED]
)
def test_refuses_with_the_place(text: str, column: int | None, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    problem = caught.value.problems[0]
    assert words in problem.message
    assert problem.source == "formula"
    if words:
        assert problem.column == column
    for line in str(caught.value).split("\n"):
        assert line.isprintable()
    if problem.column is not None:
        *_, shown, caret = str(problem).split("\n")
        assert caret.endswith("^")
        assert len(caret) <= len(shown) + 1


def test_a_hint_ends_with_one_mark() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("X + ln(x)")
    assert "did you mean 'x'?" in str(caught.value)
    assert "?." not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "order", "words"),
    [
        ("silu(" * 20 + "x" + ")" * 20, 1, "7,340,026 parts"),
        ("gelu(" * 30 + "x" + ")" * 30, 2, "at most 5,000"),
        ("silu(" * 5 + "x" + ")" * 5, 2, "more than 1,000 parts"),
    ],
)
def test_a_derivative_that_would_take_minutes_is_refused_at_once(
    text: str, order: int, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        differentiate(parse(text).expression, order)


def test_a_caret_stands_under_its_character() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("x + foo(x)")
    assert str(caught.value).split("\n")[1:] == ["    x + foo(x)", "        ^"]


def test_every_problem_at_once_and_what_is_allowed_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("a + foo(x) + 'b' ^ x.y")
    assert [problem.column for problem in caught.value.problems] == [1, 5, 14, 18, 20]
    assert str(caught.value).count("Allowed:") == 1


def test_at_the_limits_it_reads() -> None:
    parse("-" * (MAX_DEPTH - 1) + "x")
    parse(f"x**{MAX_EXPONENT}")
    parse("x**-100 + 1e100 + 1e-100")
    parse("x +" + " " * (MAX_LENGTH - 4) + "1")


def test_nothing_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our reading nor SymPy's differentiating evaluates text; ``sympify``, SymPy's way to
    do it, would.
    """
    evaluated: list[str] = []

    def watch(name: str) -> None:
        original = getattr(builtins, name)

        def watched(code: object, *arguments: object, **more: object) -> object:
            if isinstance(code, str):
                evaluated.append(code)
            # where a text is given without names, those of the caller are meant; nobody here does
            # that
            return original(code, *(arguments or ({},)), **more)

        monkeypatch.setattr(builtins, name, watched)

    watch("eval")
    watch("exec")
    for name in FUNCTIONS:
        differentiate(parse(f"{name}(x)*0.5 + x**2").expression, 2)
    for text, *_ in REFUSED:
        with pytest.raises(ConfigError):
            parse(text)
    quiet = list(evaluated)
    eval("1 + 1")
    monkeypatch.undo()
    assert quiet == []
    assert evaluated == ["1 + 1"], "the watch sees what is evaluated"


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="x0123456789.+-*/() episnlogajf_'[]{}:,=<>^²πé\n\t\\#", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except ConfigError as error:
        for problem in error.problems:
            assert problem.message
            assert problem.column is None or 1 <= problem.column <= len(text.strip()) + 1
    else:
        assert from_data(to_data(found.expression)) == found.expression


TREES = st.recursive(
    st.just("x") | st.integers(0, 9).map(str) | st.sampled_from(["pi", "0.25", "e"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
            lambda item: f"({item[0]}{item[1]}{item[2]})"
        )
        | st.tuples(st.sampled_from(["sin", "tanh", "atan", "erf", "gelu", "abs"]), inner).map(
            "{0[0]}({0[1]})".format
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(TREES, st.floats(-3, 3))
def test_numpy_and_high_precision_agree(text: str, x: float) -> None:
    if len(text) > MAX_LENGTH:
        return
    expression = parse(text).expression
    (value,) = exact_values(expression, [x]).values
    assert compute(expression, np.array([x]))[0] == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_from_data_refuses_what_is_no_tree() -> None:
    for bad in (["eval", "x"], ["call", "exec", ["x"]], ["constant", "tau"], ["x + x"]):
        with pytest.raises(ValueError, match="not a node"):
            from_data(bad)


def test_nodes_are_all_nodes() -> None:
    assert len(list(nodes(parse("sin(x) + 2*x").expression))) == 6


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("-1:1:3", (-1.0, 0.0, 1.0)),
        (" 0:1:2 ", (0.0, 1.0)),
        ("2:2:1", (2.0,)),
        ("3", (3.0,)),
        ("1, -2.5 ,1e3", (1.0, -2.5, 1000.0)),
        ("-1e308:1e308:3", (-1e308, 0.0, 1e308)),
    ],
)
def test_points(text: str, points: tuple[float, ...]) -> None:
    assert parse_points(text) == points


def test_a_range_is_rounded_once() -> None:
    got = parse_points("-5:5:101")
    assert got == tuple(float(Fraction(i, 10) - 5) for i in range(101))
    assert 0.0 in got


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "missing"),
        ("1:2", 1, "2 parts"),
        ("1:2:3:4", 1, "4 parts"),
        ("0:1:x", 5, "whole number"),
        ("0:1:0", 5, "whole number"),
        ("0:1:-3", 5, "whole number"),
        ("0:1:2.5", 5, "whole number"),
        (f"0:1:{MAX_COUNT + 1}", 5, "whole number"),
        ("0:1:" + "0" * 5000, 5, "whole number"),
        ("0:1:٣", 5, "whole number"),
        ("1:0:5", 3, "greater than the start"),
        ("a:1:5", 1, "not a finite number"),
        ("0:inf:5", 3, "not a finite number"),
        ("nan", 1, "not a finite number"),
        ("1,,2", 3, "missing"),
        ("1, two", 4, "'two'"),
        ("1\x1b[0m", 1, "not a finite number"),
        (",".join(["1"] * (MAX_COUNT + 1)), 1, "at most"),
    ],
    ids=lambda item: repr(item)[:20],
)
def test_points_refused(text: str, column: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_points(text)
    problem = caught.value.problems[0]
    assert words in problem.message
    assert problem.column == column
    assert all(line.isprintable() for line in str(caught.value).split("\n"))


def test_constants_are_those_of_mathematics() -> None:
    assert compute(Constant("pi"), np.zeros(1))[0] == math.pi
    assert compute(Constant("e"), np.zeros(1, np.float32)).dtype == np.float32
