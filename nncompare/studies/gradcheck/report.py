"""The report of a gradcheck: the derivative as text, the errors of every method, and what the
methods do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.sheet import Column, Sheet, section, spaced
from nncompare.show.words import printable
from nncompare.studies.gradcheck.record import (
    METHODS,
    GradcheckRecord,
    Method,
    MethodResult,
    RuntimeDerivatives,
)

NAMES: dict[Method, str] = {
    "value": "f(x) itself",
    "reverse": "reverse mode",
    "forward": "forward mode",
    "symbolic": "symbolic",
    "central": "central difference",
    "five_point": "five-point difference",
}
DIFFERENCES: tuple[Method, ...] = ("central", "five_point")
_SHOWN = 5
"""Points that a sentence names."""


def gradcheck_report(result: GradcheckRecord) -> RenderableType:
    """Everything about a gradcheck, from the verdict down to the notes."""
    parts: list[RenderableType] = [_head(result), error_sheet(result)]
    absent = list(_absences(result))
    if absent:
        parts.append(Group(section("Did not finish"), _grid(absent), *_logs(result)))
    parts.append(Group(section("What the methods do"), _grid(explanations(result))))
    remarks = notes(result)
    if remarks:
        parts.append(
            Group(section("Notes"), *(Text(f"  {line}", overflow="fold") for line in remarks))
        )
    return spaced(parts)


def prime(result: GradcheckRecord) -> str:
    """``f'(x)`` or ``f''(x)``."""
    return f"f{chr(39) * result.formula.order}(x)"


def _head(result: GradcheckRecord) -> Group:
    name = Text("Derivative of a formula", style="bold")
    first, last = result.points.x[0], result.points.x[-1]
    where = (
        f"at x = {first:g}"
        if result.points.count == 1
        else f"at {result.points.count:,} points, {first:g} to {last:g}"
    )
    name.append(f"  {where}, in {result.points.dtype}", style="not bold")
    formulas = _grid(
        [
            ("f(x)", result.formula.text),
            (prime(result), f"{result.formula.derivative}   (by SymPy's rules)"),
        ]
    )
    return Group(
        name, Text(), formulas, Text(), Text(verdict(result), style="bold", overflow="fold")
    )


def verdict(result: GradcheckRecord) -> str:
    """One sentence: whether automatic and symbolic derivatives agree with the exact one."""
    compared = result.points.compared
    if compared == 0:
        return "Nothing to compare: the formula has a derivative at none of the points."
    if result.beyond:
        parts = (
            f"{NAMES[method.method]} of {runtime}{_how_far(method)}"
            for runtime, method in result.beyond
        )
        return (
            f"DIFFERS from the exact derivative by more than rounding explains: {'; '.join(parts)}."
        )
    if not any(row.status == "ok" for row in result.runtimes):
        return "No framework answered; NumPy's figures are below."
    return (
        "Reverse mode, forward mode and the symbolic derivative agree with the exact one at"
        f" {compared:,} {_points(compared)}; finite differences only come close."
    )


def _how_far(method: MethodResult) -> str:
    if method.beyond:
        assert method.largest_error is not None
        return (
            f" by up to {numbers.two(method.largest_error)}, at {method.beyond}"
            f" {_points(method.beyond)}"
        )
    return f" is not a finite number at {method.not_finite} {_points(method.not_finite)}"


def _points(count: int) -> str:
    return "point" if count == 1 else "points"


def error_sheet(result: GradcheckRecord) -> Sheet:
    """The largest error of each method (a row) in each runtime (a column)."""
    rows = (*result.runtimes, result.reference)
    columns = tuple(
        Column(head=row.runtime, texts=tuple(_error(row, method) for method in METHODS))
        for row in rows
    )
    labels = tuple(
        (
            f"{NAMES[method]}, h = {numbers.two(result.steps[method])}"
            if method in result.steps
            else NAMES[method]
        )
        for method in METHODS
    )
    remarks = [
        "Error: the largest |computed - exact|. The exact values are SymPy's derivative in 40"
        " digits or more."
    ]
    remarks.append(
        "Judged: all but finite differences; allowed are"
        f" {numbers.two(result.gates['derivative'].tolerance)} of the derivative's usual size, plus"
        " ten times the rounding that NumPy shows."
    )
    if any(abs(x) > 1 for x in result.points.x):
        remarks.append("The step h grows with the size of x beyond 1.")
    missing = {method.reason for row in rows for method in row.methods if method.status == "n/a"}
    remarks += [f"n/a: {reason}." for reason in sorted(reason for reason in missing if reason)]
    return Sheet(
        title="Largest error", corner="method", labels=labels, columns=columns, notes=tuple(remarks)
    )


def _error(row: RuntimeDerivatives, name: Method) -> str | None:
    method = row.method(name)
    if method is None:
        return None
    if method.status == "failed":
        return "failed"
    return None if method.largest_error is None else numbers.two(method.largest_error)


def _absences(result: GradcheckRecord) -> Iterator[tuple[str, str]]:
    for row in result.runtimes:
        if row.status != "ok":
            yield row.runtime, f"{row.status}: {printable(row.reason or 'no reason was given')}"
        for method in row.methods:
            # both differences fail together
            if method.status == "failed" and method.method != "five_point":
                name = "finite differences" if method.method == "central" else NAMES[method.method]
                yield row.runtime, f"{name}: {printable(method.reason or 'no reason was given')}"


def _logs(result: GradcheckRecord) -> Iterator[RenderableType]:
    for row in result.runtimes:
        if row.log and row.log.strip():
            yield Text(f"  last lines of the log of {row.runtime}:")
            lines = "\n".join(f"| {line}" for line in printable(row.log).rstrip().splitlines())
            yield Padding(Text(lines, style="dim", overflow="fold"), (0, 0, 0, 2), expand=False)


def explanations(result: GradcheckRecord) -> list[tuple[str, str]]:
    """Each method in a sentence or two, and why finite differences are worse."""
    eps = 2.0**-52 if result.points.dtype == "float64" else 2.0**-23
    order = result.formula.order
    return [
        (
            "reverse mode",
            (
                "computes f, remembers every operation, then walks back from the result to x and"
                " multiplies the slopes (chain rule). One walk gives the slopes of all inputs, so"
                f" networks are trained with it. {_calls(result, 'reverse')}"
            ),
        ),
        (
            "forward mode",
            (
                "carries the slope along with the value from x to the result, one walk for each"
                f" input. {_calls(result, 'forward')}"
            ),
        ),
        (
            "symbolic",
            (
                "rewrites the formula itself by the rules of calculus; the text above is then"
                " evaluated."
            ),
        ),
        (
            "finite differences",
            (
                "know no rules: they compare f at neighbouring points, a step h apart (two points,"
                " or four or five with weights)."
            ),
        ),
        (
            "why they are worse",
            (
                "A large h misses how f bends (truncation error, about h² for the central and h⁴"
                " for the five-point difference). A small h divides the rounding of f, about"
                f" {numbers.two(eps)}·|f|, by {'h' if order == 1 else 'h²'} (rounding error). The"
                " best h balances the two and still loses digits; the other methods have no h and"
                " only round each operation."
            ),
        ),
    ]


def _calls(result: GradcheckRecord, name: Method) -> str:
    calls: dict[str, list[str]] = {}
    for row in result.runtimes:
        method = row.method(name)
        if method is not None and method.status == "ok" and method.how:
            calls.setdefault(method.how, []).append(row.runtime)
    return "; ".join(f"{', '.join(runtimes)}: {how}" for how, runtimes in calls.items())


def notes(result: GradcheckRecord) -> list[str]:
    """What a reader should know: points that take no part, numbers where there should be none,
    known weaknesses.
    """
    points, found = result.points, []
    for indices, text in (
        (points.outside, "outside the domain of f"),
        (
            points.no_derivative,
            f"without {prime(result)}, though f has a value (a kink, a vertical tangent or 0/0)",
        ),
        (points.too_large, f"beyond the range of {points.dtype}"),
        (points.unknown, "left out, since too many digits cancel for an exact value"),
    ):
        if indices:
            verb = "is" if len(indices) == 1 else "are"
            found.append(
                f"{len(indices)} of {points.count} points {verb} {text}, and not compared:"
                f" {_named(result, indices)}."
            )
    rows = (*result.runtimes, result.reference)
    found += _surprises(result, rows)
    found += [f"{row.runtime}: {note}." for row in rows for note in row.notes]
    if result.plot:
        found.append(f"Picture: {result.plot}")
    return found


def _surprises(result: GradcheckRecord, rows: Sequence[RuntimeDerivatives]) -> Iterator[str]:
    for method in METHODS:
        who = [
            (row.runtime, got.not_finite)
            for row in rows
            if (got := row.method(method)) and got.status == "ok"
        ]
        missed = [f"{name} at {count}" for name, count in who if count]
        if missed:
            why = ": a step leaves the domain or the range" if method in DIFFERENCES else ""
            yield (
                f"No finite number by {NAMES[method]} where there is a derivative{why}:"
                f" {', '.join(missed)}."
            )
    outside = len(result.points.outside)
    wrong: dict[tuple[Method, int], list[str]] = {}
    for method in ("reverse", "forward"):
        for row in rows:
            if (got := row.method(method)) and got.finite_outside:
                wrong.setdefault((method, got.finite_outside), []).append(row.runtime)
    if wrong:
        parts = (
            f"{NAMES[method]} of {', '.join(who)} at {count}"
            for (method, count), who in wrong.items()
        )
        yield (
            f"Outside the domain f is not a number, yet these are finite at some of the {outside}"
            f" {_points(outside)}: {'; '.join(parts)}. Look at the value before trusting a"
            " gradient."
        )


def _named(result: GradcheckRecord, indices: Sequence[int]) -> str:
    shown = ", ".join(f"{result.points.x[index]:.6g}" for index in indices[:_SHOWN])
    return f"x = {shown}{', …' if len(indices) > _SHOWN else ''}"


def _grid(rows: Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for title, text in rows:
        grid.add_row(Text(f"  {title}", style="dim"), Text(text))
    return grid
