"""Where text goes: consoles for stdout and stderr, and errors on stderr.

NO_COLOR, FORCE_COLOR and COLUMNS are obeyed. On a pipe there are no control codes, and lines are as wide as they
must be, so that no number is cut.
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


def print_json(document: Any) -> None:
    """One JSON document on stdout, nothing else. NaN is refused: unknown figures are null.

    Raises:
        ValueError: the document holds NaN or infinity.
    """
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def report_error(error: NncompareError) -> None:
    """Says on stderr what is wrong. Lines are never wrapped, so that carets stay under their characters."""
    console = err()
    if not isinstance(error, ConfigError):
        console.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        return
    for problem in error.problems:
        head, *below = str(problem).split("\n")
        place, found, message = head.partition(f": {problem.path}: ") if problem.path else ("", "", head)
        line = Text.assemble((place, "bold"), ": " if found else "", (problem.path if found else "", "cyan"))
        console.print(Text.assemble(line, ": " if found else "", message), soft_wrap=True)
        for text, style in zip(below, ("dim", "bold red"), strict=False):
            console.print(Text(text, style), soft_wrap=True)
    if len(error.problems) > 1:
        console.print(Text(f"{len(error.problems)} problems", "bold"), soft_wrap=True)
