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


def _console(stream: TextIO, **settings: Any) -> Console:
    columns = os.environ.get("COLUMNS", "")
    width = None if stream.isatty() or columns.isdigit() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False, **settings)


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
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def report_error(error: NncompareError) -> None:
    """Says on stderr what is wrong: on a terminal fitted to its width, on a pipe one line a problem
    and its caret.
    """
    console = err()
    soft = not console.is_terminal
    if not isinstance(error, ConfigError):
        console.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=soft)
        return
    for problem in error.problems:
        head, *below = str(problem).split("\n")
        place, found, message = (
            head.partition(f": {problem.path}: ") if problem.path else ("", "", head)
        )
        path = (problem.path, "cyan") if found else ""
        parts = ((place, "bold"), ": ", path, ": ", message) if found else (message,)
        console.print(Text.assemble(*parts), soft_wrap=soft)
        if below:
            line, caret = below if soft else _fitted(below[0], below[1], console.width)
            console.print(Text(line, "dim"), soft_wrap=True)
            console.print(Text(caret, "bold red"), soft_wrap=True)
    if len(error.problems) > 1:
        console.print(Text(f"{len(error.problems)} problems", "bold"), soft_wrap=soft)


def _fitted(line: str, caret: str, width: int) -> tuple[str, str]:
    """A source line and its caret cut to the terminal, with the caret in view."""
    begin = max(len(caret) - width * 2 // 3, 0) if len(line) >= width else 0
    if begin:
        line, caret = "    …" + line[begin + 5 :], caret[begin:]
    return (line[: width - 2] + "…" if len(line) >= width else line), caret
