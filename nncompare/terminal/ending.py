"""How the command of every study ends: what it prints, and the exit code that it leaves with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from nncompare.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nncompare.records.finished import Finished


def print_finished(
    finished: Finished[Any], report: RenderableType, *, as_json: bool, verbose: bool = False
) -> None:
    """Prints a study's result: its report for people, and its record if JSON is wanted.

    Args:
        report: goes to stdout, or to stderr while stdout holds the JSON document.
        verbose: names every stored file too, on stderr.
    """
    from nncompare.terminal.console import err, human, print_json, report_error

    human(as_json).print(report)
    # after the report, whose figures are all there
    if finished.problem is not None:
        report_error(finished.problem)
    # a result that could not be stored has no files
    if verbose and finished.folder is not None:
        for path in sorted(finished.folder.rglob("*")):
            if path.is_file():
                err().print(f"stored: {path}", markup=False, soft_wrap=True)
    if as_json:
        print_json(finished.record.model_dump(mode="json"))


def leave(finished: Finished[Any], *, negative: bool = False) -> None:
    """Ends the command with the code that its result deserves; returns if all is well.

    Args:
        negative: the answer to what was checked is no.

    Raises:
        typer.Exit: not stored, interrupted, negative, or something did not finish.
    """
    # before the other codes: who finds no result in its place must know, whatever the result says
    if finished.problem is not None:
        raise typer.Exit(ExitCode.NOT_FINISHED)
    # before the other codes: what is missing is missing because of it
    if finished.record.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if negative:
        raise typer.Exit(ExitCode.NEGATIVE)
    if not finished.record.complete:
        raise typer.Exit(ExitCode.NOT_FINISHED)
