"""The report of a gradcheck: the derivative as text, the errors of every method, and what the
methods do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.sheet import Column, Sheet, grid_of_texts, section, spaced
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
# Points that a sentence names.
_SHOWN = 5


def gradcheck_report(result: GradcheckRecord) -> RenderableType:
    """Everything about a gradcheck, from the verdict down to the notes."""
    parts: list[RenderableType] = [_head(result), error_sheet(result)]
    # no section where all went well
    absent = list(_absences(result))
    if absent:
        parts.append(Group(section("Did not finish"), _grid(absent), *_logs(result)))
    parts.append(Group(section("What the methods do"), _grid(explanations(result).items())))
    remarks = notes(result)
    if remarks:
        lines = [Text(f"  {line}", overflow="fold") for line in remarks]
        parts.append(Group(section("Notes"), *lines))
    return spaced(parts)


def prime(result: GradcheckRecord) -> str:
    """``f'(x)`` or ``f''(x)``."""
    return f"f{chr(39) * result.formula.order}(x)"


def _head(result: GradcheckRecord) -> Group:
    points = result.points
    where = f"at x = {points.x[0]:g}"
    if points.count > 1:
        where = f"at {points.count:,} points, {points.x[0]:g} to {points.x[-1]:g}"
    name = Text("Derivative of a formula", style="bold")
    name.append(f"  {where}, in {points.dtype}", style="not bold")
    rows = [
        ("f(x)", result.formula.text),
        (prime(result), f"{result.formula.derivative}   (by SymPy's rules)"),
    ]
    sentence = Text(verdict(result), style="bold", overflow="fold")
    return Group(name, Text(), _grid(rows), Text(), sentence)


def verdict(result: GradcheckRecord) -> str:
    """One sentence: whether automatic and symbolic derivatives agree with the exact one."""
    compared = result.points.compared
    # "All agree" would be true of no points at all.
    if compared == 0:
        return "Nothing to compare: the formula has a derivative at none of the points."
    if result.beyond:
        parts = []
        for runtime, method in result.beyond:
            parts.append(f"{NAMES[method.method]} of {runtime}{_how_far(method)}")
        said = "; ".join(parts)
        return f"DIFFERS from the exact derivative by more than rounding explains: {said}."
    # NumPy alone has no automatic differentiation that could agree.
    if not any(row.status == "ok" for row in result.runtimes):
        return "No framework answered; NumPy's figures are below."
    return (
        "Reverse mode, forward mode and the symbolic derivative agree with the exact one at"
        f" {compared:,} {_points(compared)}; finite differences only come close."
    )


def _how_far(method: MethodResult) -> str:
    """How a judged method failed, as the end of a sentence."""
    if method.beyond:
        assert method.largest_error is not None, "an error beyond the tolerance has a size"
        largest = numbers.two(method.largest_error)
        return f" by up to {largest}, at {method.beyond} {_points(method.beyond)}"
    return f" is not a finite number at {method.not_finite} {_points(method.not_finite)}"


def _points(count: int) -> str:
    return "point" if count == 1 else "points"


def error_sheet(result: GradcheckRecord) -> Sheet:
    """The largest error of each method (a row) in each runtime (a column)."""
    rows = (*result.runtimes, result.reference)
    columns = []
    # runtimes side by side, since it is they that are compared
    for row in rows:
        texts = tuple(_error(row, method) for method in METHODS)
        columns.append(Column(head=row.runtime, texts=texts))
    labels = []
    for method in METHODS:
        step = result.steps.get(method)
        size = "" if step is None else f", h = {numbers.two(step)}"
        labels.append(NAMES[method] + size)
    allowed = numbers.two(result.gates["derivative"].tolerance)
    remarks = [
        "Error: the largest |computed - exact|. The exact values are SymPy's derivative in 40"
        " digits or more.",
        f"Judged: all but finite differences; allowed are {allowed} of the derivative's usual size,"
        " plus ten times the rounding that NumPy shows.",
    ]
    # The labels show the step at |x| <= 1.
    if any(abs(x) > 1 for x in result.points.x):
        remarks.append("The step h grows with the size of x beyond 1.")
    lacking = [method for row in rows for method in row.methods if method.status == "n/a"]
    remarks += sorted({f"n/a: {method.reason}." for method in lacking if method.reason})
    return Sheet(
        title="Largest error",
        corner="method",
        labels=tuple(labels),
        columns=tuple(columns),
        notes=tuple(remarks),
    )


def _error(row: RuntimeDerivatives, name: Method) -> str | None:
    """A cell of the table; None: there is no figure."""
    method = row.method(name)
    if method.status == "failed":
        return "failed"
    if method.largest_error is None:
        return None
    return numbers.two(method.largest_error)


def _absences(result: GradcheckRecord) -> Iterator[tuple[str, str]]:
    """Runtime and reason of all that did not finish."""
    for row in result.runtimes:
        if row.status != "ok":
            yield row.runtime, f"{row.status}: {printable(row.reason or 'no reason was given')}"
        for method in row.methods:
            # Both differences fail together, since they share their points.
            if method.status == "failed" and method.method != "five_point":
                name = "finite differences" if method.method == "central" else NAMES[method.method]
                yield row.runtime, f"{name}: {printable(method.reason or 'no reason was given')}"


def _logs(result: GradcheckRecord) -> Iterator[RenderableType]:
    for row in result.runtimes:
        # A runtime that was refused has written nothing.
        if row.log and row.log.strip():
            yield Text(f"  last lines of the log of {row.runtime}:")
            lines = "\n".join(f"| {line}" for line in printable(row.log).rstrip().splitlines())
            yield Padding(Text(lines, style="dim", overflow="fold"), (0, 0, 0, 2), expand=False)


def explanations(result: GradcheckRecord) -> dict[str, str]:
    """Each method in a sentence or two, and why finite differences are worse."""
    eps = 2.0**-52 if result.points.dtype == "float64" else 2.0**-23
    order = result.formula.order
    return {
        "reverse mode": (
            "computes f, remembers every operation, then walks back from the result to x and"
            " multiplies the slopes (chain rule). One walk gives the slopes of all inputs, so"
            f" networks are trained with it. {_calls(result, 'reverse')}"
        ),
        "forward mode": (
            "carries the slope along with the value from x to the result, one walk for each"
            f" input. {_calls(result, 'forward')}"
        ),
        "symbolic": (
            "rewrites the formula itself by the rules of calculus; the text above is then"
            " evaluated."
        ),
        "finite differences": (
            "know no rules: they compare f at neighbouring points, a step h apart (two points, or"
            " four or five with weights)."
        ),
        "why they are worse": (
            "A large h misses how f bends (truncation error, about h² for the central and h⁴ for"
            " the five-point difference). A small h divides the rounding of f, about"
            f" {numbers.two(eps)}·|f|, by {'h' if order == 1 else 'h²'} (rounding error). The best"
            " h balances the two and still loses digits; the other methods have no h and only"
            " round each operation."
        ),
    }


def _calls(result: GradcheckRecord, name: Method) -> str:
    """How each framework is asked for a method: ``torch: …; tensorflow, keras: …``."""
    calls: dict[str, list[str]] = {}
    for row in result.runtimes:
        method = row.method(name)
        if method.status == "ok" and method.how:
            calls.setdefault(method.how, []).append(row.runtime)
    return "; ".join(f"{', '.join(runtimes)}: {how}" for how, runtimes in calls.items())


def notes(result: GradcheckRecord) -> list[str]:
    """What a reader should know: points that take no part, numbers where there should be none,
    known weaknesses.
    """
    points = result.points
    kinks = f"without {prime(result)}, though f has a value (a kink, a vertical tangent or 0/0)"
    left_out = (
        (points.outside, "outside the domain of f"),
        (points.no_derivative, kinks),
        (points.too_large, f"beyond the range of {points.dtype}"),
        (points.unknown, "left out, since too many digits cancel for an exact value"),
    )
    found = []
    for indices, text in left_out:
        if indices:
            verb = "is" if len(indices) == 1 else "are"
            found.append(
                f"{len(indices)} of {points.count} points {verb} {text}, and not compared:"
                f" {_named(result, indices)}."
            )
    rows = (*result.runtimes, result.reference)
    found += _missed_points(rows)
    found += _finite_outside(result, rows)
    for row in rows:
        found += [f"{row.runtime}: {note}." for note in row.notes]
    if result.plot:
        found.append(f"Picture: {result.plot}")
    return found


def _missed_points(rows: Sequence[RuntimeDerivatives]) -> Iterator[str]:
    """Methods without a finite number where there is a derivative."""
    for name in METHODS:
        missed = []
        for row in rows:
            count = row.method(name).not_finite
            if count:
                missed.append(f"{row.runtime} at {count}")
        if missed:
            # a difference looks beside its point, where there may be nothing
            why = ": a step leaves the domain or the range" if name in DIFFERENCES else ""
            yield (
                f"No finite number by {NAMES[name]} where there is a derivative{why}:"
                f" {', '.join(missed)}."
            )


def _finite_outside(result: GradcheckRecord, rows: Sequence[RuntimeDerivatives]) -> Iterator[str]:
    """Gradients that look sound where the formula has no value at all."""
    found: dict[tuple[Method, int], list[str]] = {}
    names: tuple[Method, ...] = ("reverse", "forward")
    for name in names:
        for row in rows:
            count = row.method(name).finite_outside
            # Runtimes with the same count share a part of the sentence.
            if count:
                found.setdefault((name, count), []).append(row.runtime)
    if not found:
        return
    parts = []
    for (name, count), runtimes in found.items():
        parts.append(f"{NAMES[name]} of {', '.join(runtimes)} at {count}")
    outside = len(result.points.outside)
    yield (
        f"Outside the domain f is not a number, yet these are finite at some of the {outside}"
        f" {_points(outside)}: {'; '.join(parts)}. Look at the value before trusting a gradient."
    )


def _named(result: GradcheckRecord, indices: Sequence[int]) -> str:
    shown = ", ".join(f"{result.points.x[index]:.6g}" for index in indices[:_SHOWN])
    return f"x = {shown}{', …' if len(indices) > _SHOWN else ''}"


def _grid(rows: Iterable[tuple[str, str]]) -> Table:
    grid = grid_of_texts()
    for title, text in rows:
        grid.add_row(Text(f"  {title}", style="dim"), Text(text))
    return grid
