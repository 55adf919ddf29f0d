"""The report of ``compare-conventions``: a result in, something that rich can print out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.ledger import ledger_sheet
from nncompare.show.sheet import Column, Sheet, grid_of_texts, section, spaced
from nncompare.studies.conventions.record import ConventionRow, ConventionsRecord
from nncompare.studies.run.report import did_not_finish
from nncompare.studies.run.tables import LOSS

_PARTS = (("train", "train"), ("val", "validation"), ("test", "test"))
_ALIGNED = "aligned: every runtime computes the same function, from the same initial weights"
_ONE_SEED = (
    "a native start is another draw of initial weights, so part of each change is the luck of that"
    " draw; repeat with other --seed before reading much into a small one"
)
_NATIVE = "native: every framework's own layers, optimizer, defaults and initial weights"


def conventions_report(result: ConventionsRecord, *, folder: Path | None = None) -> RenderableType:
    """Both conventions side by side, then what makes the difference.

    Args:
        folder: where it is stored, for the last line.
    """
    parts: list[RenderableType] = [_head(result), _sheet(result, "loss")]
    if result.experiment.get("task") != "regression":
        parts.append(_sheet(result, "accuracy"))
    for convention in ("aligned", "native"):
        rows = [getattr(pair, convention) for pair in result.runtimes]
        absent = [row for row in rows if row.status != "ok"]
        if absent:
            parts.append(did_not_finish(absent, title=f"Did not finish, {convention}"))
    title = "Settings that differ in the native convention"
    parts.append(
        ledger_sheet(result.ledger, title=title) or Text(f"{title}: none of those recorded.")
    )
    parts.append(_notes(result, folder))
    return spaced(parts)


def _head(result: ConventionsRecord) -> Group:
    name = Text(result.name, style="bold")
    name.append(f"  {_epochs(result)}, seed {_train(result, 'seed')}", style="not bold")
    return Group(
        name, Text(), *(Text(line, style="bold", overflow="fold") for line in headline(result))
    )


def headline(result: ConventionsRecord) -> list[str]:
    """How far the runtimes lie apart in each convention, in one sentence a quantity."""
    lines = []
    for name, title in (("test_loss", "Final test loss"), ("test_accuracy", "Final test accuracy")):
        spread = result.spread[name]
        if spread.aligned is not None and spread.native is not None:
            texts = [_size(value, name) for value in (spread.aligned, spread.native)]
            lines.append(
                f"{title}: the runtimes lie {texts[0]} apart aligned, {texts[1]} apart native."
            )
    return lines


def _size(value: float, name: str) -> str:
    return f"{100 * value:.2f} points" if name.endswith("accuracy") else numbers.two(value)


def _train(result: ConventionsRecord, key: str) -> object:
    train = result.experiment.get("train")
    return train.get(key) if isinstance(train, dict) else None


def _epochs(result: ConventionsRecord) -> str:
    count = _train(result, "epochs")
    return f"{count} epoch{'' if count == 1 else 's'}"


def _sheet(result: ConventionsRecord, quantity: str) -> Sheet:
    """Aligned, native and their difference, of the three parts of the data.

    Args:
        quantity: ``loss`` or ``accuracy``.
    """
    columns = []
    for short, head in _PARTS:
        columns += _triple(result.runtimes, f"{short}_{quantity}", head)
    return Sheet(
        title=f"{quantity.capitalize()} with the final weights",
        labels=tuple(row.runtime for row in result.runtimes),
        columns=tuple(columns),
        # the second sheet would only say them again
        notes=_sheet_notes(result) if quantity == "loss" else (),
    )


def _sheet_notes(result: ConventionsRecord) -> tuple[str, ...]:
    task = str(result.experiment.get("task", "classification"))
    return (
        f"Loss: {LOSS.get(task, 'as trained')}, without penalties, in inference mode.",
        f"{_ALIGNED}.",
        f"{_NATIVE}.",
        "change: native minus aligned.",
    )


def _triple(rows: Sequence[ConventionRow], name: str, head: str) -> list[Column]:
    """Three columns of one metric: aligned, native, and what changed."""
    aligned = [getattr(row.aligned.final, name) for row in rows]
    native = [getattr(row.native.final, name) for row in rows]
    changes = [getattr(row.difference, name) for row in rows]
    # both conventions in one format, so that they can be read against each other
    if name.endswith("accuracy"):
        both = numbers.percent([*aligned, *native]).texts
        changed = numbers.percent(changes).texts
        unit = "%"
        unit_of_change = "points"
    else:
        both = numbers.plain([*aligned, *native])
        changed = numbers.plain(changes)
        unit = unit_of_change = ""
    return [
        Column(head=f"{head} aligned", unit=unit, texts=both[: len(rows)]),
        Column(head=f"{head} native", unit=unit, texts=both[len(rows) :]),
        Column(head=f"{head} change", unit=unit_of_change, texts=tuple(map(_signed, changed))),
    ]


def _signed(text: str | None) -> str | None:
    """With a plus before what has grown; zero has no sign."""
    if text is None or text.startswith("-") or float(text.replace(",", "")) == 0:
        return text
    return f"+{text}"


def _notes(result: ConventionsRecord, folder: Path | None) -> Group:
    parity = result.parity
    reason = f": {parity.reason}" if parity.reason else ""
    lines = [
        ("one seed", _ONE_SEED),
        ("parity", f"{parity.status.replace('_', ' ')}{reason}, aligned run"),
    ]
    lines += [(f"{name} run", run_id) for name, run_id in result.runs.items() if run_id]
    lines.append(("stored in", str(folder)) if folder else ("id", result.id))
    grid = grid_of_texts()
    for title, text in lines:
        grid.add_row(Text(f"  {title}", style="dim"), Text(text))
    return Group(section("Notes"), grid)
