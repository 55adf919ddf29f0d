"""Reports as HTML: each kind of piece has its picture, and everything from outside is escaped."""

from __future__ import annotations

import pytest
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from nncompare.show.page import fragment, html, plain
from nncompare.show.sheet import Column, Sheet, grid_of_texts, remark, section, spaced


class Drawn:
    def __html__(self) -> str:
        return "<svg/>"

    def __rich__(self) -> str:
        return "a picture"


def named() -> Text:
    text = Text("digits", style="bold")
    text.append("  one <run>", style="not bold")
    return text


def grid() -> Table:
    table = grid_of_texts()
    table.add_row(Text("  a&b", style="dim"), Text("loud", style="bold"))
    return table


def headed() -> Table:
    table = Table(title="ignored")
    table.add_column("what")
    table.add_column("size", justify="right")
    table.add_row("x", Padding(Text("1\n2"), (0, 0, 0, 2)))
    return table


@pytest.mark.parametrize(
    ("piece", "markup"),
    [
        (Text("a < b"), "<p>a &lt; b</p>"),
        (Text("all of it", style="bold"), "<p><b>all of it</b></p>"),
        (named(), "<p><b>digits</b>  one &lt;run&gt;</p>"),
        (Text(), ""),
        (section("Title"), "<h4>Title</h4>"),
        (remark("aside <i>"), "<small>aside &lt;i&gt;</small>"),
        (Text("two\n<lines>"), "<pre>two\n&lt;lines&gt;</pre>"),
        (Drawn(), "<svg/>"),
        (Group(Text("a"), Text("b")), "<p>a</p><p>b</p>"),
        (spaced([Text("a"), Text("b")]), "<p>a</p><p>b</p>"),
        (
            grid(),
            '<table><tbody><tr><th class="w">a&amp;b</th><td class="w"><b>loud</b></td></tr>'
            "</tbody></table>",
        ),
        (
            headed(),
            '<table><thead><tr><th class="w">what</th><th>size</th></tr></thead>'
            '<tbody><tr><th class="w">x</th><td>1<br>2</td></tr></tbody></table>',
        ),
        (
            Sheet(
                title="T",
                labels=("<torch>",),
                columns=(
                    Column(head="step", unit="ms", texts=("1.0",), best=frozenset({0})),
                    Column(head="total", texts=(None,)),
                ),
                notes=("a note",),
            ),
            '<h4>T</h4><table><thead><tr><th class="w">runtime</th><th>step<br>ms</th>'
            '<th>total</th></tr></thead><tbody><tr><th class="w">&lt;torch&gt;</th>'
            "<td><b>1.0 *</b></td><td>n/a</td></tr></tbody></table><small>a note</small>",
        ),
        (
            Sheet(
                title="T",
                labels=("torch",),
                columns=(Column(head="how", texts=("fast",), number=False),),
                prose=True,
            ),
            '<h4>T</h4><table><thead><tr><th class="w"></th><th class="w">torch</th></tr></thead>'
            '<tbody><tr><th class="w">how</th><td class="w">fast</td></tr></tbody></table>',
        ),
    ],
)
def test_each_piece(piece: RenderableType, markup: str) -> None:
    assert html(piece) == markup


def test_what_is_unknown_is_shown_as_text() -> None:
    assert html(Rule(characters="<")).startswith("<pre>&lt;&lt;")


def test_a_fragment_has_its_own_style() -> None:
    found = fragment(Text("a"))
    assert found.startswith('<div class="nncompare"><style>')
    assert found.endswith("</style><p>a</p></div>")


def test_plain_text_has_no_control_codes() -> None:
    assert plain(Group(named(), Drawn()), 40) == "digits  one <run>\na picture"
