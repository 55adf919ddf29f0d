"""An experiment in one line."""

from __future__ import annotations

from typing import Any


def describe(experiment: dict[str, Any], *, parameters: int | None) -> str:
    """An experiment in one line: data, model, optimizer, batch, epochs, type, seed."""
    data, model, train = (_part(experiment, name) for name in ("data", "model", "train"))
    optimizer = _part(train, "optimizer")
    lr = optimizer.get("lr")
    parts = [
        data.get("name"),
        _model(model, parameters),
        optimizer.get("name"),
        f"lr {lr:g}" if isinstance(lr, (int, float)) else None,
        f"batch {train['batch_size']}" if "batch_size" in train else None,
        _plural(train["epochs"], "epoch") if isinstance(train.get("epochs"), int) else None,
        train.get("dtype"),
        train.get("convention"),
        f"seed {train['seed']}" if "seed" in train else None,
    ]
    return " · ".join(str(part) for part in parts if part)


def _part(whole: dict[str, Any], name: str) -> dict[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}


def _model(model: dict[str, Any], parameters: int | None) -> str:
    size = "" if parameters is None else f" ({parameters:,} parameters)"
    hidden = model.get("hidden")
    widths = (
        " " + "-".join(map(str, hidden)) if isinstance(hidden, (list, tuple)) and hidden else ""
    )
    return f"{model.get('family', 'model')}{widths}{size}"


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
