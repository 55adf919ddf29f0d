"""A report as an HTML fragment for a notebook, and as plain text.

A report is made of a few kinds of pieces: sheets, tables, lines of text and groups of them. Each
kind has its picture in HTML here. A piece that can be drawn better than its text (a curve) says so
itself, with a method ``__html__`` that gives markup.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Protocol, runtime_checkable

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nncompare.show.sheet import BEST, UNKNOWN, Section, Sheet

_FALLBACK_WIDTH = 100
"""Characters of a piece that is shown as text."""
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
.nncompare .w{text-align:left;white-space:normal;vertical-align:top}
.nncompare h4{margin:1em 0 .2em;font-size:1.05em;color:inherit}
.nncompare p{margin:.15em 0}
.nncompare small{opacity:.75;display:block}
.nncompare figure{display:inline-block;margin:.3em 1.2em .3em 0}
.nncompare pre{white-space:pre-wrap;background:transparent;color:inherit;
border-left:2px solid currentColor;
padding-left:.8em;margin:.3em 0}
</style>"""


@runtime_checkable
class HasHtml(Protocol):
    """A piece of a report that draws itself."""

    def __html__(self) -> str:
        """Markup, with everything from outside escaped."""


def fragment(report: RenderableType) -> str:
    """The report with its own style; nothing is loaded from anywhere, and everything from outside
    is escaped.
    """
    return f'<div class="nncompare">{_STYLE}{html(report)}</div>'


def plain(report: RenderableType, width: int) -> str:
    """The report as text without control codes, no line longer than ``width``."""
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
        console.print(report)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def html(piece: RenderableType) -> str:
    """One piece of a report, without a style of its own."""
    match piece:
        # first of all: a piece that draws itself may be of any other kind too
        case HasHtml():
            return piece.__html__()
        case Group():
            return "".join(html(part) for part in piece.renderables)
        case Padding():
            return html(piece.renderable)
        case Sheet():
            return _sheet(piece)
        case Table():
            return _table(piece)
        # before the other texts: a title is one of them
        case Section():
            return f"<h4>{escape(piece.plain)}</h4>"
        case Text() if piece.plain.strip():
            return _block(piece)
        case Text():
            return ""  # a blank line: the page has margins
        case _:
            # what rich can print and nobody has drawn is still readable
            return f"<pre>{escape(plain(piece, _FALLBACK_WIDTH))}</pre>"


def _block(text: Text) -> str:
    """A paragraph; several lines (a log) keep their form, and what is dim stands back."""
    # its line breaks carry meaning
    if "\n" in text.plain:
        return f"<pre>{escape(text.plain)}</pre>"
    # remarks are smaller on a page instead of paler
    if text.style == "dim":
        return f"<small>{escape(text.plain.strip())}</small>"
    return f"<p>{_inline(text)}</p>"


def _inline(text: Text) -> str:
    """The words of a text; bold ones are bold, other styles are a terminal's own."""
    console = Console(file=io.StringIO(), _environ={})
    whole = console.get_style(text.style)
    parts = []
    for segment in text.render(console):
        words = escape(segment.text)
        # a text of one style has segments without any
        style = segment.style or whole
        parts.append(f"<b>{words}</b>" if style.bold and words.strip() else words)
    return "".join(parts).strip()


def _sheet(sheet: Sheet) -> str:
    """One row a label, as in a wide terminal; cells of words want room: one row a quantity."""
    # cells of words want the width of the page
    if sheet.prose:
        numbers = [False] * (1 + len(sheet.labels))
        head = ["", *map(escape, sheet.labels)]
        rows = []
        for column in sheet.columns:
            cells = map(_cell, column.texts)
            rows.append([escape(column.head), *cells])
    else:
        numbers = [False, *(column.number for column in sheet.columns)]
        head = [escape(sheet.corner)]
        rows = [[escape(label)] for label in sheet.labels]
        for column in sheet.columns:
            unit = ""
            if column.unit:
                unit = f"<br>{escape(column.unit)}"
            head.append(escape(column.head) + unit)
            for index, text in enumerate(column.texts):
                cell = _cell(text)
                # a mark besides the weight, which not everybody sees
                if index in column.best:
                    cell = f"<b>{cell} {BEST}</b>"
                rows[index].append(cell)
    notes = "".join(f"<small>{escape(note)}</small>" for note in sheet.notes)
    return f"<h4>{escape(sheet.title)}</h4>{_markup(head, rows, numbers)}{notes}"


def _cell(text: str | None) -> str:
    return UNKNOWN if text is None else escape(text)


def _table(table: Table) -> str:
    """A table of rich's; a grid has no heads, and its first column names its rows."""
    numbers = [column.justify == "right" for column in table.columns]
    # a grid names its rows alone
    head = [_cell_of(column.header) for column in table.columns] if table.show_header else []
    cells = [[_cell_of(cell) for cell in column.cells] for column in table.columns]
    return _markup(head, zip(*cells, strict=True), numbers)


def _markup(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[bool]) -> str:
    """A table whose cells are markup already.

    Args:
        head: empty for a table without heads.
        rows: each begins with its name.
        numbers: for each column whether it holds numbers.
    """
    top = f"<thead><tr>{_cells('th', head, numbers)}</tr></thead>" if head else ""
    body = ""
    for name, *cells in rows:
        body += f'<tr><th class="w">{name}</th>{_cells("td", cells, numbers[1:])}</tr>'
    return f"<table>{top}<tbody>{body}</tbody></table>"


def _cells(tag: str, cells: Sequence[str], numbers: Sequence[bool]) -> str:
    """Numbers stand to the right, which is the style's default; words have a class."""
    markup = ""
    for cell, number in zip(cells, numbers, strict=True):
        kind = "" if number else ' class="w"'
        markup += f"<{tag}{kind}>{cell}</{tag}>"
    return markup


def _cell_of(cell: Any) -> str:
    """What stands in a cell of rich's, in one line or several."""
    # indents are a terminal's way to group rows
    while isinstance(cell, Padding):
        cell = cell.renderable
    text = cell if isinstance(cell, Text) else Text(str(cell))
    return _inline(text).replace("\n", "<br>")
