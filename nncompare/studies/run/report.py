"""The report of a run: a result in, something that rich can print out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show.ledger import ledger_sheet
from nncompare.show.sheet import grid_of_texts, section, spaced
from nncompare.show.words import printable
from nncompare.studies.run import headline
from nncompare.studies.run.curves import Curves
from nncompare.studies.run.record import RunRecord
from nncompare.studies.run.tables import learning_sheet, time_sheet


def run_report(result: RunRecord, *, folder: Path | None = None) -> RenderableType:
    """Everything about a run, from the one glance down to the notes.

    Args:
        folder: where it is stored, for the last line.
    """
    parts: list[RenderableType] = [
        _head(result),
        learning_sheet(result),
        *_curves(result.runtimes),
        time_sheet(result),
    ]
    absent = [row for row in result.runtimes if row.status != "ok"]
    if absent:
        parts.append(did_not_finish(absent))
    # a single runtime differs from nothing
    if len(result.finished) > 1:
        nothing = Text("Settings that differ: none of those recorded.")
        parts.append(ledger_sheet(result.ledger) or nothing)
    parts.append(_notes(result, folder))
    return spaced(parts)


def _head(result: RunRecord) -> Group:
    name = Text(result.name, style="bold")
    name.append(f"  {headline.summary(result)}", style="not bold")
    first = Text(headline.fastest(result), style="bold")
    lines = [name, Text(), first, *map(Text, headline.details(result))]
    for line in lines:
        line.overflow = "fold"
    return Group(*lines)


def _curves(rows: Sequence[TrainedRuntime]) -> list[Curves]:
    """The plots, if any runtime has a loss."""
    curves = Curves(tuple(rows))
    return [curves] if curves.known else []


def reason(row: TrainedRuntime) -> str:
    """Why a runtime did not finish."""
    return printable(row.reason or "no reason was given")


def did_not_finish(rows: Sequence[TrainedRuntime], *, title: str = "Did not finish") -> Group:
    """Status and reason of each, then the ends of their logs."""
    grid = grid_of_texts()
    for row in rows:
        grid.add_row(Text(f"  {row.runtime}"), Text(f"{row.status}: {reason(row)}"))
    logs: list[RenderableType] = []
    for row in rows:
        if row.log and row.log.strip():
            logs.append(Text(f"  last lines of the log of {row.runtime}:"))
            lines = "\n".join(f"| {line}" for line in printable(row.log).rstrip().splitlines())
            logs.append(
                Padding(Text(lines, style="dim", overflow="fold"), (0, 0, 0, 2), expand=False)
            )
    return Group(section(title), grid, *logs)


def notes(result: RunRecord) -> list[tuple[str, str]]:
    """What a reader should know, as (title, text): machine, data, threads, time."""
    lines = [("machine", machine(result.environment)), *_data_notes(result.environment)]
    threads = sorted({row.threads for row in result.runtimes if row.threads is not None})
    if threads:
        lines.append(("threads", f"{' or '.join(map(str, threads))} per runtime"))
    lines.append(("created", result.created))
    return [(title, text) for title, text in lines if text]


def _data_notes(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """How many examples there were and where they came from."""
    data = environment.get("data")
    if not isinstance(data, dict):
        return []
    lines = []
    examples = data.get("examples")
    if isinstance(examples, dict) and examples:
        counts = ", ".join(f"{part} {number:,}" for part, number in examples.items())
        lines.append(("examples", counts))
    lines += [("data", printable(str(note))) for note in data.get("notes") or ()]
    return lines


def machine(environment: dict[str, Any]) -> str:
    """Processor, cores, memory, system, Python, nncompare, as far as they are recorded."""
    cores = environment.get("logical_cores")
    memory = environment.get("memory_bytes")
    parts = [
        environment.get("processor"),
        f"{cores} logical cores" if cores else None,
        f"{memory / 2**30:.1f} GiB memory" if isinstance(memory, (int, float)) else None,
        environment.get("system"),
        f"Python {environment['python']}" if "python" in environment else None,
        f"nncompare {environment['nncompare']}" if "nncompare" in environment else None,
    ]
    return ", ".join(str(part) for part in parts if part)


def _notes(result: RunRecord, folder: Path | None) -> Group:
    place = ("stored in", str(folder)) if folder else ("id", result.id)
    grid = grid_of_texts()
    for title, text in (*notes(result), place):
        grid.add_row(Text(f"  {title}", style="dim"), Text(text))
    return Group(section("Notes"), grid)
