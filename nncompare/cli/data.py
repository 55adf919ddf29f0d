"""``nncompare data``: data sets ahead of time."""

from __future__ import annotations

from typing import Annotated

import typer

from nncompare.terminal import options
from nncompare.terminal.completion import data_sets, offering

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _data() -> None:
    """Download and check data sets ahead of time."""


@app.command()
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A data set, see: nncompare list data.",
            autocompletion=offering(data_sets),
        ),
    ],
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Download a data set, check it, and print where it is."""
    from nncompare.data import fetch as fetch_data
    from nncompare.terminal.console import err, print_json

    console = err()

    def report(message: str) -> None:
        # on stderr, so that the path stands alone on stdout
        if not quiet:
            console.print(message, markup=False, soft_wrap=True)

    path = fetch_data(name, report=report)
    if as_json:
        print_json(
            {
                "schema_version": 1,
                "kind": "data",
                "name": name,
                "path": None if path is None else str(path),
            }
        )
    # data that are bundled or generated lie nowhere
    elif path is not None:
        typer.echo(str(path))
