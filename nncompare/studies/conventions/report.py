"""The report of ``compare-conventions``: a result in, something that rich can print out."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.ledger import ledger_part
from nncompare.show.sheet import Column, Sheet, grid_of_texts, heading, section, spaced
from nncompare.studies.conventions.record import ConventionsRecord
from nncompare.studies.run.report import did_not_finish
from nncompare.studies.run.tables import LOSS

_ALIGNED = "aligned: every runtime computes the same function, from the same initial weights."
_ONE_SEED = (
    "a native start is another draw of initial weights, so part of each change is the luck of that"
    " draw; repeat with other --seed before reading much into a small one"
)
_NATIVE = "native: every framework's own layers, optimizer, defaults and initial weights."


def conventions_report(result: ConventionsRecord, *, folder: Path | None = None) -> RenderableType:
    """Both conventions side by side, then what makes the difference.

    Args:
        folder: where it is stored, for the last line.
    """
    parts: list[RenderableType] = [_head(result)]
    sheets = [_sheet(result, "loss")]
    # a regression has no accuracies
    if result.experiment.get("task") != "regression":
        sheets.append(_sheet(result, "accuracy"))
    # a table without a result is no news; why there is none stands first then
    parts += [sheet for sheet in sheets if sheet.has_figures]
    for convention in ("aligned", "native"):
        rows = [getattr(pair, convention) for pair in result.runtimes]
        absent = [row for row in rows if row.status != "ok"]
        # each run has failures of its own
        if absent:
            parts.append(did_not_finish(absent, title=f"Did not finish, {convention}"))
    parts.append(ledger_part(result.ledger, "Settings that differ in the native convention"))
    parts.append(_notes(result, folder))
    return spaced(parts)


def _head(result: ConventionsRecord) -> Group:
    epochs = _train(result, "epochs")
    trained = f"{epochs} epoch{'' if epochs == 1 else 's'}, seed {_train(result, 'seed')}"
    lines = [Text(line, style="bold") for line in headline(result)]
    return Group(heading(result.name, trained), Text(), *lines)


def headline(result: ConventionsRecord) -> list[str]:
    """How far the runtimes lie apart in each convention, in one sentence a quantity."""
    lines = []
    for name, title in (("test_loss", "Final test loss"), ("test_accuracy", "Final test accuracy")):
        spread = result.spread[name]
        # with a single runtime, or without a test part, nothing lies apart
        if spread.aligned is not None and spread.native is not None:
            texts = [_size(value, name) for value in (spread.aligned, spread.native)]
            lines.append(
                f"{title}: the runtimes lie {texts[0]} apart aligned, {texts[1]} apart native."
            )
    return lines


def _size(value: float, name: str) -> str:
    return f"{100 * value:.2f} points" if name.endswith("accuracy") else numbers.two(value)


def _train(result: ConventionsRecord, key: str) -> object:
    """What the record's experiment says, which is any JSON object."""
    train = result.experiment.get("train")
    return train.get(key) if isinstance(train, dict) else None


def _sheet(result: ConventionsRecord, quantity: str) -> Sheet:
    """Aligned, native and their difference, of the three parts of the data.

    Args:
        quantity: ``loss`` or ``accuracy``.
    """
    columns = []
    for short, head in (("train", "train"), ("val", "validation"), ("test", "test")):
        columns += _triple(result, f"{short}_{quantity}", head)
    notes: tuple[str, ...] = ()
    # the second sheet would only say them again
    if quantity == "loss":
        loss = LOSS.get(str(result.experiment.get("task", "classification")), "as trained")
        notes = (
            f"Loss: {loss}, without penalties, in inference mode.",
            _ALIGNED,
            _NATIVE,
            "change: native minus aligned.",
        )
    return Sheet(
        title=f"{quantity.capitalize()} with the final weights",
        labels=tuple(row.runtime for row in result.runtimes),
        columns=tuple(columns),
        notes=notes,
    )


def _triple(result: ConventionsRecord, name: str, head: str) -> list[Column]:
    """Three columns of one metric: aligned, native, and what changed."""
    rows = result.runtimes
    figures = [getattr(row.aligned.final, name) for row in rows]
    figures += [getattr(row.native.final, name) for row in rows]
    changes = [getattr(row.difference, name) for row in rows]
    # both conventions in one format, so that they can be read against each other
    if name.endswith("accuracy"):
        both = numbers.percent(figures)
        changed = numbers.percent(changes).texts
        unit_of_change = "points"
    else:
        both = numbers.Formatted(unit="", texts=numbers.plain(figures))
        changed = numbers.plain(changes)
        unit_of_change = ""
    signed = tuple(map(_signed, changed))
    aligned = both.texts[: len(rows)]
    native = both.texts[len(rows) :]
    return [
        Column(head=f"{head} aligned", unit=both.unit, texts=aligned),
        Column(head=f"{head} native", unit=both.unit, texts=native),
        Column(head=f"{head} change", unit=unit_of_change, texts=signed),
    ]


def _signed(text: str | None) -> str | None:
    """With a plus before what has grown; zero has no sign."""
    # a zero with a plus would look like growth that rounding hides
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
    # where the tables of each run alone are
    lines += [(f"{name} run", run_id) for name, run_id in result.runs.items() if run_id]
    lines.append(("stored in", str(folder)) if folder else ("id", result.id))
    return Group(section("Notes"), grid_of_texts(lines))
