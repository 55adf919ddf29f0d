"""An experiment in one line, and what its runtimes get of what it asks for."""

from __future__ import annotations

from typing import Any

from nncompare.show.numbers import counted


def describe(experiment: dict[str, Any], *, parameters: int | None) -> str:
    """An experiment in one line: data, model, optimizer, batch, epochs, type, seed.

    Args:
        experiment: as a record holds it; what is missing is left out.
        parameters: of the model, if known.
    """
    data = _section(experiment, "data")
    train = _section(experiment, "train")
    optimizer = _section(train, "optimizer")
    lr = optimizer.get("lr")
    epochs = train.get("epochs")
    batch_size = train.get("batch_size")
    seed = train.get("seed")
    parts = [
        data.get("name"),
        _model(_section(experiment, "model"), parameters),
        optimizer.get("name"),
        f"lr {lr:g}" if isinstance(lr, (int, float)) else None,
        None if batch_size is None else f"batch {batch_size}",
        counted(epochs, "epoch") if isinstance(epochs, int) else None,
        train.get("dtype"),
        train.get("convention"),
        None if seed is None else f"seed {seed}",
    ]
    return " · ".join(str(part) for part in parts if part)


def threads_each(experiment: dict[str, Any], given: list[int]) -> str:
    """``2 per runtime``; where the file asks for more than there were, that is said too.

    Args:
        experiment: as a record holds it.
        given: the numbers of threads that runtimes got, at least one.
    """
    text = f"{' or '.join(map(str, given))} per runtime"
    asked = _section(experiment, "measure").get("threads")
    if not isinstance(asked, int) or asked <= max(given):
        return text
    return f"{text}: all that this process could use, though measure.threads asks for {asked:,}"


def _section(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    """A mapping inside another; empty if it is not there."""
    section = mapping.get(name)
    return section if isinstance(section, dict) else {}


def _model(model: dict[str, Any], parameters: int | None) -> str:
    text = str(model.get("family", "model"))
    hidden = model.get("hidden")
    # recurrent families have one size and not a list: it says little without the cell
    if isinstance(hidden, (list, tuple)) and hidden:
        text += " " + "-".join(map(str, hidden))
    # runtimes that count differently have no common number
    if parameters is not None:
        text += f" ({parameters:,} parameters)"
    return text
