"""``nncompare validate``: checks experiment files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nncompare.errors import ConfigError, ExitCode, UsageError
from nncompare.terminal import options


def validate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG",
            help="Experiment files; overrides are applied to each of them.",
            show_default=False,
        ),
    ],
    backend: options.Backends = None,
    as_json: options.Json = False,
) -> None:
    """Check experiment files; every problem with its position.

    Data set, model and training are checked, and every layer's shape. Exit code 2 if a file has a
    problem.
    """
    overrides = [item for item in files if options.is_override(item)]
    # a shell gives files and overrides in one list
    paths = [item for item in files if item not in overrides]
    # all of them looked like overrides
    if not paths:
        raise UsageError(f"{overrides[0]} is an override; name the experiment file too")
    rows = [_check(path, overrides, backend) for path in paths]
    if as_json:
        from nncompare.terminal.console import print_json

        print_json({"schema_version": 1, "kind": "validate", "files": rows})
    good = [row for row in rows if row["ok"]]
    width = max((len(row["file"]) for row in good), default=0)
    for row in good:
        line = f"ok  {row['file']:{width}}  {row['family']}, {row['parameters']:,} parameters"
        typer.echo(line, err=as_json)
    # every file has been checked before the code says that one is wrong
    if len(good) < len(rows):
        raise typer.Exit(ExitCode.USAGE)


def _check(path: str, overrides: list[str], backend: list[str] | None) -> dict[str, Any]:
    from nncompare.data import signature
    from nncompare.terminal.console import report_error

    try:
        experiment = options.load_experiment(Path(path), overrides, backends=backend)
    except ConfigError as error:
        report_error(error)
        return {
            "file": path,
            "ok": False,
            "error": str(error),
            "problems": [vars(item) for item in error.problems],
        }
    # data that are missing have no position in the file
    except UsageError as error:
        report_error(UsageError(f"{path}: {error}"))
        return {"file": path, "ok": False, "error": str(error), "problems": []}
    model = experiment.resolve(signature(experiment.data, experiment.task))
    return {
        "file": path,
        "ok": True,
        "name": experiment.name,
        "family": experiment.model.family,
        "parameters": model.trainable_count,
    }
