"""The report of a run: a result in, something that rich can print out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show.experiment_line import threads_each
from nncompare.show.ledger import ledger_part
from nncompare.show.sheet import grid_of_texts, heading, remark, section, spaced
from nncompare.show.words import printable
from nncompare.studies.run import headline
from nncompare.studies.run.curves import loss_curves
from nncompare.studies.run.record import RunRecord
from nncompare.studies.run.tables import learning_sheet, time_sheet


def run_report(result: RunRecord, *, folder: Path | None = None) -> RenderableType:
    """Everything about a run, from the one glance down to the notes.

    Args:
        folder: where it is stored, for the last line.
    """
    parts: list[RenderableType] = [_head(result)]
    # a table without a result is no news, its reason is
    if not result.finished:
        parts.append(did_not_finish(result.absent))
    parts += _figures(result)
    # reasons before settings: who did not finish is the first question
    if result.finished and result.absent:
        parts.append(did_not_finish(result.absent))
    # a single runtime differs from nothing
    if len(result.finished) > 1:
        parts.append(ledger_part(result.ledger, "Settings that differ"))
    parts.append(_notes(result, folder))
    return spaced(parts)


def _figures(result: RunRecord) -> list[RenderableType]:
    """Tables and curves; of a run that nobody finished those that hold a figure at all."""
    curves = loss_curves(result.runtimes)
    learning = learning_sheet(result)
    time = time_sheet(result)
    if result.finished:
        return [learning, *curves, time]
    shown: list[RenderableType] = [*curves]
    if time.has_figures:
        shown.append(time)
    return shown


def _head(result: RunRecord) -> Group:
    first = heading(result.name, headline.summary(result))
    fastest = Text(headline.fastest(result), style="bold")
    details = [Text(line) for line in headline.details(result)]
    return Group(first, Text(), fastest, *details)


def did_not_finish(rows: Sequence[TrainedRuntime], *, title: str = "Did not finish") -> Group:
    """Status and reason of each, then the ends of their logs."""
    grid = grid_of_texts()
    logs: list[RenderableType] = []
    for row in rows:
        reason = printable(row.reason or "no reason was given")
        grid.add_row(Text(f"  {row.runtime}"), Text(f"{row.status}: {reason}"))
        # the reason is the first line of an error; what led to it stands in the log
        if row.log and row.log.strip():
            logs.append(Text(f"  last lines of the log of {row.runtime}:"))
            lines = printable(row.log).rstrip().splitlines()
            quoted = "\n".join(f"| {line}" for line in lines)
            logs.append(remark(quoted))
    return Group(section(title), grid, *logs)


def _notes(result: RunRecord, folder: Path | None) -> Group:
    """What a reader should know: machine, data, threads, time, place."""
    rows = _data_notes(result.environment)
    if machine := _machine(result.environment):
        rows = [("machine", machine), *rows]
    threads = sorted({row.threads for row in result.runtimes if row.threads is not None})
    # runtimes that did not start have no number
    if threads:
        rows.append(("threads", threads_each(result.experiment, threads)))
    rows.append(("created", result.created))
    rows.append(("stored in", str(folder)) if folder else ("id", result.id))
    return Group(section("Notes"), grid_of_texts(rows))


def _data_notes(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """How many examples there were and where they came from."""
    data = environment.get("data")
    # the environment of a record is any JSON object
    if not isinstance(data, dict):
        return []
    rows = []
    examples = data.get("examples")
    if isinstance(examples, dict) and examples:
        counts = ", ".join(f"{part} {number:,}" for part, number in examples.items())
        rows.append(("examples", counts))
    for note in data.get("notes") or ():
        rows.append(("data", printable(str(note))))
    return rows


def _machine(environment: dict[str, Any]) -> str:
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
