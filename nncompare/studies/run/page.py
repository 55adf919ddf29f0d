"""The report of a run for a notebook (an HTML fragment) and as plain text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from html import escape

from rich.console import Console, RenderableType

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show.ledger import ledger_sheet
from nncompare.show.plots import Axis, Series, choose_axis
from nncompare.show.sheet import BEST, UNKNOWN, Sheet
from nncompare.show.words import printable
from nncompare.studies.run import headline
from nncompare.studies.run.curves import NOTE, PARTS, first_and_last, series
from nncompare.studies.run.record import RunRecord
from nncompare.studies.run.report import notes, reason, run_report
from nncompare.studies.run.tables import learning_sheet, time_sheet

_WIDTH, _HEIGHT = 240, 90
"""Of one plot, in pixels."""
# Colours come from the page (currentColor, inherit), so that the fragment reads on a light and on a
# dark page alike.
_STYLE = """<style>
.nncompare{font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;color:inherit;max-width:72em}
.nncompare table{border-collapse:collapse;margin:.3em 0;color:inherit;background:transparent;
font-variant-numeric:tabular-nums}
.nncompare th,.nncompare td{padding:.15em .7em;text-align:right;white-space:nowrap;
vertical-align:bottom;
background:transparent;color:inherit;border:0}
.nncompare thead th{border-bottom:1px solid currentColor;font-weight:500}
.nncompare tbody th{font-weight:500}
.nncompare .w{text-align:left;white-space:normal}
.nncompare h4{margin:1em 0 .2em;font-size:1.05em;color:inherit}
.nncompare p{margin:.15em 0}
.nncompare small{opacity:.75;display:block}
.nncompare figure{display:inline-block;margin:.3em 1.2em .3em 0}
.nncompare pre{white-space:pre-wrap;background:transparent;color:inherit;
border-left:2px solid currentColor;
padding-left:.8em;margin:.3em 0}
</style>"""


def to_html(result: RunRecord) -> str:
    """A fragment with its own style: tables, curves as inline SVG, notes. Everything from the
    result is escaped.
    """
    return f'<div class="nncompare">{_STYLE}{"".join(_parts(result))}</div>'


def to_text(result: RunRecord, width: int = 100) -> str:
    """The report as plain text without control codes, no line longer than ``width``."""
    return plain(run_report(result), width)


def plain(renderable: RenderableType, width: int) -> str:
    """Anything that rich can print as plain text without control codes."""
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _parts(result: RunRecord) -> Iterator[str]:
    yield f"<p><b>{escape(result.name)}</b> {escape(headline.summary(result))}</p>"
    yield f"<p><b>{escape(headline.fastest(result))}</b></p>"
    for line in headline.details(result):
        yield f"<p>{escape(line)}</p>"
    yield _table(learning_sheet(result))
    yield _curves(result.runtimes)
    yield _table(time_sheet(result))
    absent = [row for row in result.runtimes if row.status != "ok"]
    if absent:
        yield "<h4>Did not finish</h4>"
        yield from (_absent(row) for row in absent)
    ledger = ledger_sheet(result.ledger)
    if ledger is not None:
        yield _turned(ledger)
    yield "<h4>Notes</h4>"
    for title, text in (*notes(result), ("id", result.id)):
        yield f"<p><small>{escape(title)}: {escape(text)}</small></p>"


def _table(sheet: Sheet) -> str:
    """One row a runtime."""
    head = "".join(
        f"<th{_kind(column.number)}>{escape(column.head)}"
        f"{f'<br>{escape(column.unit)}' if column.unit else ''}</th>"
        for column in sheet.columns
    )
    body = "".join(
        f'<tr><th class="w">{escape(label)}</th>'
        + "".join(
            f"<td{_kind(column.number)}>{_cell(column.texts[row], best=row in column.best)}</td>"
            for column in sheet.columns
        )
        + "</tr>"
        for row, label in enumerate(sheet.labels)
    )
    return (
        f"<h4>{escape(sheet.title)}</h4><table><thead><tr>"
        f'<th class="w">{escape(sheet.corner)}</th>{head}</tr></thead><tbody>{body}</tbody></table>'
        + "".join(f"<small>{escape(note)}</small>" for note in sheet.notes)
    )


def _turned(sheet: Sheet) -> str:
    """One row a quantity."""
    head = "".join(f'<th class="w">{escape(label)}</th>' for label in ("setting", *sheet.labels))
    body = "".join(
        f'<tr><th class="w">{escape(column.head)}</th>'
        + "".join(f'<td class="w">{_cell(text, best=False)}</td>' for text in column.texts)
        + "</tr>"
        for column in sheet.columns
    )
    title = f"<h4>{escape(sheet.title)}</h4>"
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str | None, *, best: bool) -> str:
    if text is None:
        return UNKNOWN
    return f"<b>{escape(text)} {BEST}</b>" if best else escape(text)


def _kind(number: bool) -> str:
    return "" if number else ' class="w"'


def _absent(row: TrainedRuntime) -> str:
    text = f"<p><b>{escape(row.runtime)}</b> {escape(row.status)}: {escape(reason(row))}</p>"
    if row.log and row.log.strip():
        text += f"<pre>{escape(printable(row.log).rstrip())}</pre>"
    return text


def _curves(rows: Sequence[TrainedRuntime]) -> str:
    """Training (solid) and validation (dashed) loss of the runtimes that finished, on one axis."""
    drawn = [row for row in rows if row.status == "ok" and len(row.history) > 1]
    axis = choose_axis([series(row, name) for row in drawn for _, name in PARTS])
    if axis is None:
        return ""
    epochs = max(len(row.history) for row in drawn)
    figures = "".join(_figure(row, axis, epochs) for row in drawn)
    kind = ", logarithmic axis" if axis.log else ""
    return (
        f"<h4>Loss by epoch{kind}, the same for all"
        f" plots</h4>{figures}<small>{escape(NOTE)}</small>"
    )


def _figure(row: TrainedRuntime, axis: Axis, epochs: int) -> str:
    lines, captions = [], []
    for (title, name), dash, word in zip(
        PARTS, ("", ' stroke-dasharray="5 4"'), ("solid", "dashed"), strict=True
    ):
        values = series(row, name)
        captions.append(f"{title} ({word}) {first_and_last(values)}")
        lines += [
            f'<polyline fill="none" stroke="currentColor" stroke-width="1.5"{dash}'
            f' points="{points}"/>'
            for points in _polylines(values, axis, epochs)
        ]
    label = escape(f"{row.runtime}: {'; '.join(captions)}")
    caption = "<br>".join(escape(text) for text in captions)
    return (
        f"<figure><figcaption><b>{escape(row.runtime)}</b><br><small>{caption}</small></figcaption>"
        f'<svg role="img" aria-label="{label}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="-2 -3 {_WIDTH + 4} {_HEIGHT + 6}">'
        f'<path d="M0 0V{_HEIGHT}H{_WIDTH}" fill="none" stroke="currentColor" stroke-opacity=".4"/>'
        f"{''.join(lines)}</svg></figure>"
    )


def _polylines(values: Series, axis: Axis, epochs: int) -> Iterator[str]:
    """Points of each unbroken stretch."""
    stretch: list[str] = []
    for index, value in enumerate([*values, None]):
        position = None if value is None else axis.position(value)
        if position is not None:
            stretch.append(
                f"{index * _WIDTH / max(1, epochs - 1):.1f},{(1 - position) * _HEIGHT:.1f}"
            )
        elif stretch:
            yield " ".join(stretch)
            stretch = []
