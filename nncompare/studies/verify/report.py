"""The report of a parity check: the verdict in one line, where and why runtimes part, the worst
figures and gates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.experiment_line import describe
from nncompare.show.ledger import ledger_sheet
from nncompare.show.sheet import grid_of_texts, section, spaced
from nncompare.show.words import printable
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.record import Change, ParityFinding, VerifyRecord


def verify_report(result: VerifyRecord, *, folder: Path | None = None) -> RenderableType:
    """Everything about a check, the verdict first.

    Args:
        folder: where it is stored, for the last line.
    """
    parts: list[RenderableType] = [_head(result)]
    if result.findings:
        parts.append(_findings(result.findings))
    absent = [row for row in result.runtimes if row.status != "ok"]
    if absent:
        parts.append(_absent(result))
    if result.changes:
        parts.append(_changes(result.changes))
    for dtype in ("float64", "float32"):
        checks = [check for check in result.checks if check.dtype == dtype]
        by_formula = [check for check in checks if not check.between_runtimes]
        between = [check for check in checks if check.between_runtimes]
        if by_formula:
            parts.append(_table(f"Each runtime by the formulas, {dtype}", by_formula, pairs=False))
        if between:
            parts.append(_table(f"The runtimes against each other, {dtype}", between, pairs=True))
    if (ledger := ledger_sheet(result.ledger)) is not None:
        parts.append(ledger)
    parts.append(_notes(result, folder))
    return spaced(parts)


def verdict(result: VerifyRecord) -> str:
    """The outcome in one sentence."""
    names = _list([row.runtime for row in result.runtimes])
    if result.status != "not_comparable" and _is_native(result):
        return _native_verdict(result, names)
    if result.status == "certified":
        if len(result.runtimes) == 1:
            return f"CERTIFIED: {names} computes what the formulas say."
        return f"CERTIFIED: {names} compute the same function."
    if result.status == "failed":
        guilty = _list(list(dict.fromkeys(finding.runtime for finding in result.findings)))
        if guilty:
            return f"FAILED: not the same function. It parts in {guilty}."
        return "FAILED: the runtimes do not compute the same function."
    return f"NOT COMPARABLE: {printable(result.reason or 'no reason was given')}."


def _is_native(result: VerifyRecord) -> bool:
    train: Mapping[str, object] = result.experiment.get("train", {})
    return train.get("convention") == "native"


def _native_verdict(result: VerifyRecord, names: str) -> str:
    """Of frameworks as they ship: each is held to its own declaration, not to the others."""
    if result.status == "certified":
        does = "does" if len(result.runtimes) == 1 else "each do"
        return f"CERTIFIED: {names} {does} what is declared of the framework's own defaults."
    guilty = _list(list(dict.fromkeys(finding.runtime for finding in result.findings)))
    return f"FAILED: {guilty or 'a runtime'} does not do what is declared of its own defaults."


def _head(result: VerifyRecord) -> Group:
    name = Text(result.name, style="bold")
    name.append(f"  {describe(result.experiment, parameters=None)}", style="not bold")
    style = {"certified": "bold green", "failed": "bold red", "not_comparable": "bold yellow"}[
        result.status
    ]
    how = (
        f"{result.steps} training steps on one thread, checked in"
        f" {numbers.duration(result.seconds)}."
    )
    if any(check.dtype == "float32" for check in result.checks):
        how += " Float64 decides; float32 is held to its own rounding."
    if _is_native(result):
        how += " Each runtime is judged by the formulas under its own defaults, in float64."
    return Group(name, Text(), Text(verdict(result), style=style), Text(how))


def _findings(findings: Sequence[ParityFinding]) -> Group:
    grid = grid_of_texts()
    for finding in findings:
        step = f", step {finding.step}" if finding.step is not None else ""
        where = f" of {finding.layer}" if finding.layer else ""
        size = (
            "cannot be compared"
            if finding.worst is None
            else f"off by {finding.worst:.1e}, gate {finding.gate:.0e}"
        )
        text = Text(f"{finding.quantity}{where}{step}: {size} ({finding.dtype})")
        text.append(
            f"\nlooks like: {finding.looks_like}"
            if finding.looks_like
            else "\nno single change of the formulas gives this"
        )
        grid.add_row(Text(f"  {finding.runtime}", style="bold"), text)
    return Group(section("Where it parts"), grid)


def _absent(result: VerifyRecord) -> Group:
    grid = grid_of_texts()
    for row in result.runtimes:
        if row.status != "ok":
            text = Text(f"{row.status}: {printable(row.reason or 'no reason was given')}")
            if row.log:
                text.append(
                    "\n" + "\n".join(f"| {line}" for line in printable(row.log).splitlines()),
                    style="dim",
                )
            grid.add_row(Text(f"  {row.runtime}"), text)
    return Group(section("Could not be checked"), grid)


def _table(title: str, checks: Sequence[Check], *, pairs: bool) -> Group:
    """One row a quantity, one column a runtime or a pair of them. A figure beyond its gate has a
    mark beside it.
    """
    columns = list(dict.fromkeys(_column(check, pairs) for check in checks))
    rows = list(dict.fromkeys((check.quantity, "" if pairs else check.against) for check in checks))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("quantity", no_wrap=True)
    for head in ("unit", "gate") if pairs else ("judge", "unit", "gate"):
        table.add_column(head, no_wrap=True, justify="right" if head == "gate" else "left")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    for quantity, judge in rows:
        found = {
            _column(check, pairs): check
            for check in checks
            if check.quantity == quantity and (pairs or check.against == judge)
        }
        first = next(iter(found.values()))
        gates = {f"{check.tolerance:.0e}" if check.tolerance else "0" for check in found.values()}
        gate = gates.pop() if len(gates) == 1 else "floor" if first.dtype == "float32" else "varies"
        cells = [_figure(found.get(column)) for column in columns]
        table.add_row(quantity, *(() if pairs else (judge,)), first.unit[:3] + ".", gate, *cells)
    return Group(section(title), table)


def _column(check: Check, pairs: bool) -> str:
    return f"{check.runtime} / {check.against}" if pairs else check.runtime


def _figure(check: Check | None) -> Text:
    if check is None:
        return Text("n/a")
    text = f"{check.worst:.1e}" if check.worst else "0"
    if not math.isfinite(check.worst):
        text = "none"
    return Text(text) if check.passed else Text(f"{text} !", style="bold red")


def _changes(changes: Sequence[Change]) -> Group:
    """The runtimes one below the other, each change with its sizes and, under it, what it looks
    like.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("what", overflow="fold")
    for head in ("first step", "end"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for runtime in dict.fromkeys(change.runtime for change in changes):
        table.add_row(Text(runtime, style="bold"))
        for change in (change for change in changes if change.runtime == runtime):
            sizes = (
                "n/a" if size is None else f"{size:.1e}"
                for size in (change.at_start, change.at_end)
            )
            what = f"{change.layer}: {change.quantity}" if change.layer else change.quantity
            table.add_row(Padding(Text(what), (0, 0, 0, 2)), *sizes, change.unit[:3] + ".")
            if change.looks_like:
                table.add_row(Padding(Text(change.looks_like, style="dim"), (0, 0, 0, 4)))
    return Group(
        section("What the frameworks' own defaults change, against the aligned form of the same"),
        table,
    )


def _notes(result: VerifyRecord, folder: Path | None) -> Group:
    grid = grid_of_texts()
    versions = {
        f"{name} {version}" for row in result.runtimes for name, version in row.versions.items()
    }
    texts = [
        ("marks", "! leaves its gate" if any(not check.passed for check in result.checks) else ""),
        ("dead", f"{', '.join(result.dead)}: no gradient, judged apart" if result.dead else ""),
        ("compared", _limit(result)),
        ("versions", ", ".join(sorted(versions))),
        (
            "weights",
            f"SHA-256 {result.hashes.weights[:16]}…; batch order {result.hashes.order[:16]}…",
        ),
        ("stored in" if folder else "id", str(folder or result.id)),
    ]
    for title, text in texts:
        if text:
            grid.add_row(Text(f"  {title}", style="dim"), Text(text))
    return Group(section("Notes"), grid)


def _limit(result: VerifyRecord) -> str:
    """How far the runtimes were compared with each other, where that is not as usual."""
    if result.limit is None:
        return ""
    how_many = "all" if result.limit.steps == result.steps else f"the first {result.limit.steps} of"
    return f"{how_many} {result.steps} steps between the runtimes: {result.limit.reason}"


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
