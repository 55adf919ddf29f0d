"""What the tests of ``nncompare run`` share."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nncompare.spec.runtimes import DEFAULT_RUNTIMES

ROOT = Path(__file__).parents[1]
THREE = DEFAULT_RUNTIMES
TINY = """\
name: tiny
data: {name: digits}
model: {family: mlp, hidden: [8]}
train: {epochs: 3, batch_size: 128, optimizer: {name: adam, lr: 3e-2}}
"""
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
PROGRESS = re.compile(
    r"(torch|tensorflow|keras)( \(\d of 3\))?: \S.*|compares what the runtimes computed"
    r"|prepares the data of \S+"
)
"""Every line of progress on a pipe; what a framework says begins otherwise."""


def strict(text: str) -> Any:
    """Parsed JSON; NaN and infinity are errors."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def stored(folder: Path) -> dict[str, Any]:
    """The only result in ``folder/results``; nothing half-written stands beside it."""
    (found,) = (folder / "results").iterdir()
    document: dict[str, Any] = strict((found / "result.json").read_text(encoding="utf-8"))
    return document


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))
