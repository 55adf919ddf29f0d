"""Where text goes: consoles for stdout and stderr, and errors on stderr.

NO_COLOR, FORCE_COLOR and COLUMNS are obeyed. On a pipe there are no control codes, and lines are as
wide as they must be, so that no number is cut.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from nncompare.errors import ConfigError, NncompareError

_PIPE_WIDTH = 160
_NARROWEST = 40
"""Columns that every report has: what is narrower breaks its lines itself."""


def _console(stream: TextIO, **settings: Any) -> Console:
    return Console(file=stream, width=_width(stream), highlight=False, emoji=False, **settings)


def _width(stream: TextIO) -> int | None:
    """Columns to fill; None: those of the terminal."""
    columns = os.environ.get("COLUMNS", "")
    # set by hand, or by a shell that thinks that it has none: on 0 columns nothing would be seen
    if columns.isdecimal() and int(columns) > 0:
        return max(int(columns), _NARROWEST)
    # rich takes a pipe for 80 columns, which would wrap every table
    return None if stream.isatty() else _PIPE_WIDTH


def out() -> Console:
    """For results."""
    return _console(sys.stdout)


def err() -> Console:
    """For progress and messages."""
    return _console(sys.stderr)


def human(as_json: bool) -> Console:
    """For people: stdout, or stderr while stdout holds a JSON document."""
    return err() if as_json else out()


def is_live(console: Console) -> bool:
    """Whether a display that redraws itself can be shown: a real terminal, whatever FORCE_COLOR
    says.
    """
    return console.file.isatty() and not console.is_dumb_terminal


def print_json(document: Any) -> None:
    """One JSON document on stdout, nothing else. NaN is refused: unknown figures are null.

    Raises:
        ValueError: the document holds NaN or infinity.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    # JSON has a form for every character; a question mark would be another name
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2, allow_nan=False)
    sys.stdout.write(text + "\n")


def report_error(error: NncompareError) -> None:
    """Says on stderr what is wrong: on a terminal fitted to its width, on a pipe one line a problem
    and its caret.
    """
    console = err()
    # on a pipe a line is as long as it must be, so that programs can read it
    soft_wrap = not console.is_terminal
    if not isinstance(error, ConfigError):
        console.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=soft_wrap)
        return
    for problem in error.problems:
        # the problem in one line, then the line of the file and its caret where there is one
        head, *excerpt = str(problem).split("\n")
        console.print(_with_colours(head, problem.path), soft_wrap=soft_wrap)
        if excerpt and console.is_terminal:
            excerpt = _fitted(excerpt[0], excerpt[1], console.width)
        for text, style in zip(excerpt, ("dim", "bold red"), strict=False):
            console.print(Text(text, style), soft_wrap=True)
    # the last line on the screen says how much is above it
    if len(error.problems) > 1:
        console.print(Text(f"{len(error.problems)} problems", "bold"), soft_wrap=soft_wrap)


def _with_colours(head: str, path: str) -> Text:
    """``file:line:column: path: message`` with the place bold and the path coloured."""
    place, separator, message = head.partition(f": {path}: ")
    # a problem of the whole file has no path
    if not path or not separator:
        return Text(head)
    return Text.assemble((place, "bold"), ": ", (path, "cyan"), ": ", message)


def _fitted(line: str, caret: str, width: int) -> list[str]:
    """A source line and its caret cut to the terminal, with the caret in view."""
    if len(line) < width:
        return [line, caret]
    begin = max(len(caret) - width * 2 // 3, 0)
    if begin:
        line = "    …" + line[begin + 5 :]
        caret = caret[begin:]
    # what is behind the caret's part of the line is cut
    if len(line) >= width:
        line = line[: width - 2] + "…"
    return [line, caret]
