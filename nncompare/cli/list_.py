"""``nncompare list``: what experiments can be made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from nncompare.errors import UsageError, did_you_mean
from nncompare.terminal import options
from nncompare.terminal.completion import offering

INITIALIZERS = {
    "uniform": "uniform in ±scale (0.05)",
    "normal": "normal with standard deviation scale (0.05)",
    "xavier_uniform": "uniform, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)",
    "xavier_normal": "normal, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)",
    "kaiming_uniform": "uniform, variance 2 / fan_in (He et al. 2015)",
    "kaiming_normal": "normal, variance 2 / fan_in (He et al. 2015)",
    "orthogonal": "a random orthogonal matrix (Saxe et al. 2014)",
    "zeros": "all 0",
    "ones": "all 1",
    "forget_gate": "zeros, with scale on the LSTM's forget gate (Jozefowicz et al. 2015)",
}

_BROKEN = "a plug-in that cannot be used"


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="Only families, layers, data, optimizers, schedules, initializers or runtimes.",
            show_default=False,
            autocompletion=offering(lambda: dict.fromkeys(catalog(), "")),
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List families, layers, data sets, optimizers, schedules, initializers and runtimes."""
    from nncompare.terminal.console import out, print_json

    found = catalog()
    if kind is not None:
        # the answer names what there is
        if kind not in found:
            hint = did_you_mean(kind, found)
            allowed = ", ".join(found)
            raise UsageError(f"there is nothing of kind {kind!r} to list{hint} Allowed: {allowed}")
        found = {kind: found[kind]}
    if as_json:
        print_json({"schema_version": 1, "kind": "list", **found})
        return
    console = out()
    for index, (name, rows) in enumerate(found.items()):
        if index:
            console.print()
        console.print(_table(name, rows))


def catalog() -> dict[str, list[dict[str, Any]]]:
    """Every kind with its entries, each a name and a title.

    Data sets and runtimes also say who brings them: ``nncompare``, or a plug-in's distribution and
    its version.
    """
    from nncompare.spec.families import FAMILIES
    from nncompare.spec.layers import LAYERS
    from nncompare.spec.training import OPTIMIZERS, SCHEDULES

    def titled(classes: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"name": name, "title": cls.title} for name, cls in classes.items()]

    return {
        "families": titled(FAMILIES),
        "layers": titled(LAYERS),
        "data": _data_sets(),
        "optimizers": titled(OPTIMIZERS),
        "schedules": titled(SCHEDULES),
        "initializers": [{"name": name, "title": title} for name, title in INITIALIZERS.items()],
        "runtimes": _runtimes(),
    }


def _data_sets() -> list[dict[str, Any]]:
    """Every data set, and every plug-in that would have brought one (``problem`` says why not)."""
    from nncompare.spec.data import DATA

    rows: list[tuple[Any, ...]] = []
    for name, cls in DATA.items():
        rows.append((name, cls.title, list(cls.tasks), DATA.origin(name), None))
    # a plug-in that is broken is named, and does not break the list
    for plugin in DATA.broken:
        rows.append((plugin.name, _BROKEN, [], plugin.origin, plugin.reason))
    return _entries(("name", "title", "tasks", "origin", "problem"), rows)


def _runtimes() -> list[dict[str, Any]]:
    """Every runtime, and every plug-in that would have brought one (``missing`` says why not)."""
    from nncompare.spec.runtimes import CATALOG

    rows: list[tuple[Any, ...]] = []
    for name, runtime in CATALOG.items():
        missing = runtime.missing()
        rows.append((name, runtime.title, missing is None, missing, CATALOG.origin(name)))
    # as of the data sets
    for plugin in CATALOG.broken:
        rows.append((plugin.name, _BROKEN, False, plugin.reason, plugin.origin))
    return _entries(("name", "title", "installed", "missing", "origin"), rows)


def _entries(keys: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _table(kind: str, rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    from nncompare.show.words import printable

    table = Table(
        box=None,
        title=kind,
        title_style="bold",
        title_justify="left",
        show_header=False,
        padding=(0, 2),
    )
    table.add_column(no_wrap=True, style="cyan", min_width=16)
    table.add_column(overflow="fold")
    table.add_column(style="dim", no_wrap=True)
    for row in rows:
        text = Text(printable(row["title"]))
        # most data sets know one task; which one decides the loss
        if row.get("tasks"):
            text.append(f" [{', '.join(row['tasks'])}]", "dim")
        problem = row.get("missing") or row.get("problem")
        if problem:
            text.append(f"\n{printable(problem)}", "yellow")
        name = Text(printable(row["name"]))
        table.add_row(name, text, Text(printable(row.get("origin", ""))))
    return table
