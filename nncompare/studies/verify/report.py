"""The report of a parity check: the verdict in one line, where and why runtimes part, the worst
figures and gates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.experiment_line import describe
from nncompare.show.ledger import ledger_part
from nncompare.show.sheet import grid_of_texts, section, spaced
from nncompare.show.words import printable
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.record import Change, Limit, ParityFinding, VerifyRecord

_STYLES = {"certified": "bold green", "failed": "bold red", "not_comparable": "bold yellow"}
_NO_REASON = "no reason was given"


def verify_report(result: VerifyRecord, *, folder: Path | None = None) -> RenderableType:
    """Everything about a check, the verdict first.

    Args:
        folder: where it is stored, for the last line.
    """
    parts: list[RenderableType] = [_head(result)]
    # causes before figures: who reads on wants to know where it parts
    if result.findings:
        parts.append(_findings(result.findings))
    if not result.complete:
        parts.append(_absent(result))
    if result.changes:
        parts.append(_changes(result.changes))
    for dtype in ("float64", "float32"):
        checks = [check for check in result.checks if check.dtype == dtype]
        # a formula tells who is wrong; two runtimes only tell that they part
        by_formula = [check for check in checks if not check.between_runtimes]
        between = [check for check in checks if check.between_runtimes]
        if by_formula:
            parts.append(_figures(f"Each runtime by the formulas, {dtype}", by_formula))
        if between:
            parts.append(_figures(f"The runtimes against each other, {dtype}", between))
    if result.ledger:
        parts.append(ledger_part(result.ledger))
    parts.append(_notes(result, folder))
    return spaced(parts)


def verdict(result: VerifyRecord) -> str:
    """The outcome in one sentence."""
    names = _list([row.runtime for row in result.runtimes])
    guilty = _list([finding.runtime for finding in result.findings])
    alone = len(result.runtimes) == 1
    match result.status, _is_native(result):
        case "certified", True:
            # each is held to its own declaration, not to the others
            does = "does" if alone else "each do"
            return f"CERTIFIED: {names} {does} what is declared of the framework's own defaults."
        case "certified", False if alone:
            return f"CERTIFIED: {names} computes what the formulas say."
        case "certified", False:
            return f"CERTIFIED: {names} compute the same function."
        case "failed", True:
            who = guilty or "a runtime"
            return f"FAILED: {who} does not do what is declared of its own defaults."
        case "failed", False if guilty:
            return f"FAILED: not the same function. It parts in {guilty}."
        case "failed", False:
            return "FAILED: the runtimes do not compute the same function."
        case _:
            return f"NOT COMPARABLE: {printable(result.reason or _NO_REASON)}."


def _is_native(result: VerifyRecord) -> bool:
    train: Mapping[str, object] = result.experiment.get("train", {})
    return train.get("convention") == "native"


def _head(result: VerifyRecord) -> Group:
    name = Text(result.name, style="bold")
    name.append(f"  {describe(result.experiment, parameters=None)}", style="not bold")
    took = numbers.duration(result.seconds)
    how = f"{result.steps} training steps on one thread, checked in {took}."
    # a reader may take its wide gates for a weak check
    if any(check.dtype == "float32" for check in result.checks):
        how += " Float64 decides; float32 is held to its own rounding."
    if _is_native(result):
        how += " Each runtime is judged by the formulas under its own defaults, in float64."
    return Group(name, Text(), Text(verdict(result), style=_STYLES[result.status]), Text(how))


def _findings(findings: Sequence[ParityFinding]) -> Group:
    grid = grid_of_texts()
    for finding in findings:
        what = finding.quantity
        # a loss belongs to no layer, a loading to no step
        if finding.layer:
            what += f" of {finding.layer}"
        if finding.step is not None:
            what += f", step {finding.step}"
        size = "cannot be compared"
        # what is missing, or not finite on one side, has no distance
        if finding.worst is not None:
            size = f"off by {finding.worst:.1e}, gate {finding.gate:.0e}"
        cause = "no single change of the formulas gives this"
        # the search changes one thing at a time; two errors at once it does not name
        if finding.looks_like:
            cause = f"looks like: {finding.looks_like}"
        text = Text(f"{what}: {size} ({finding.dtype})\n{cause}")
        grid.add_row(Text(f"  {finding.runtime}", style="bold"), text)
    return Group(section("Where it parts"), grid)


def _absent(result: VerifyRecord) -> Group:
    grid = grid_of_texts()
    for row in result.runtimes:
        if row.status == "ok":
            continue
        text = Text(f"{row.status}: {printable(row.reason or _NO_REASON)}")
        # the framework's own words, where the reason does not say enough
        for line in printable(row.log or "").splitlines():
            text.append(f"\n| {line}", style="dim")
        grid.add_row(Text(f"  {row.runtime}"), text)
    return Group(section("Could not be checked"), grid)


def _figures(title: str, checks: Sequence[Check]) -> Group:
    """One row a quantity, one column a runtime or, between runtimes, a pair of them. A figure
    beyond its gate has a mark beside it.
    """
    pairs = checks[0].between_runtimes
    columns: dict[str, None] = {}
    rows: dict[tuple[str, ...], dict[str, Check]] = {}
    for check in checks:
        # a pair is its own judge; by the formulas a quantity may have several
        names: tuple[str, ...] = (check.quantity,) if pairs else (check.quantity, check.against)
        column = f"{check.runtime} / {check.against}" if pairs else check.runtime
        columns[column] = None
        rows.setdefault(names, {})[column] = check
    table = _table()
    for head in ("quantity", "unit") if pairs else ("quantity", "judge", "unit"):
        table.add_column(head, no_wrap=True)
    table.add_column("gate", no_wrap=True, justify="right")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    for names, found in rows.items():
        known = list(found.values())
        cells = [_figure(found.get(column)) for column in columns]
        table.add_row(*names, _unit(known[0].unit), _gate(known), *cells)
    return Group(section(title), table)


def _gate(checks: Sequence[Check]) -> str:
    """Of a row: one figure where all have the same."""
    tolerances = {check.tolerance for check in checks}
    texts = {f"{tolerance:.0e}" if tolerance else "0" for tolerance in tolerances}
    if len(texts) == 1:
        return texts.pop()
    # each pair of float32 runtimes has the floor of its own rounding
    return "floor" if checks[0].dtype == "float32" else "varies"


def _figure(check: Check | None) -> Text:
    if check is None:
        return Text("n/a")
    text = f"{check.worst:.1e}" if check.worst else "0"
    # no number could be taken
    if not math.isfinite(check.worst):
        text = "none"
    # a mark beside the figure: colour is lost on a pipe
    return Text(text) if check.passed else Text(f"{text} !", style="bold red")


def _changes(changes: Sequence[Change]) -> Group:
    """The runtimes one below the other, each change with its sizes and, under it, what it looks
    like.
    """
    table = _table()
    table.add_column("what", overflow="fold")
    for head in ("first step", "end"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for runtime in dict.fromkeys(change.runtime for change in changes):
        table.add_row(Text(runtime, style="bold"))
        for change in changes:
            if change.runtime != runtime:
                continue
            what = f"{change.layer}: {change.quantity}" if change.layer else change.quantity
            sizes = [_size(change.at_start), _size(change.at_end)]
            table.add_row(Padding(Text(what), (0, 0, 0, 2)), *sizes, _unit(change.unit))
            # under its change, in a row of its own: sentences would squeeze the figures
            if change.looks_like:
                table.add_row(Padding(Text(change.looks_like, style="dim"), (0, 0, 0, 4)))
    title = "What the frameworks' own defaults change, against the aligned form of the same"
    return Group(section(title), table)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")


def _unit(unit: str) -> str:
    return unit[:3] + "."


def _size(size: float | None) -> str:
    return "n/a" if size is None else f"{size:.1e}"


def _notes(result: VerifyRecord, folder: Path | None) -> Group:
    versions = {
        f"{name} {version}" for row in result.runtimes for name, version in row.versions.items()
    }
    hashes = result.hashes
    notes: dict[str, str] = {}
    if any(not check.passed for check in result.checks):
        notes["marks"] = "! leaves its gate"
    if result.dead:
        notes["dead"] = f"{', '.join(result.dead)}: no gradient, judged apart"
    if result.limit is not None:
        notes["compared"] = _extent(result.limit, result.steps)
    if versions:
        notes["versions"] = ", ".join(sorted(versions))
    # two checks of the same experiment are the same only if these agree
    notes["weights"] = f"SHA-256 {hashes.weights[:16]}…; batch order {hashes.order[:16]}…"
    notes["stored in" if folder else "id"] = str(folder or result.id)
    grid = grid_of_texts()
    for title, text in notes.items():
        grid.add_row(Text(f"  {title}", style="dim"), Text(text))
    return Group(section("Notes"), grid)


def _extent(limit: Limit, steps: int) -> str:
    """How far the runtimes were compared with each other, where that is not as usual."""
    how_many = "all" if limit.steps == steps else f"the first {limit.steps} of"
    return f"{how_many} {steps} steps between the runtimes: {limit.reason}"


def _list(names: Iterable[str]) -> str:
    """Every name once, as in a sentence."""
    *before, last = dict.fromkeys(names) or [""]
    return f"{', '.join(before)} and {last}" if before else last
