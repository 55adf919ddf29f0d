"""The job folder of a formula: what one runtime is asked to differentiate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.formulas.expression import Expression, from_data, to_data

Array = NDArray[Any]
FILE = "derivatives.json"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one worker is asked.

    Args:
        runtime: a name of the catalog.
        function: the formula.
        derivative: its symbolic derivative of this order, a formula too.
        order: 1 or 2.
        points: ``(N,)``, in the dtype to compute in.
        neighbours: ``(S, N)``, where the function is wanted for finite differences.
        threads: CPU threads.
    """

    runtime: str
    function: Expression
    derivative: Expression
    order: int
    points: Array
    neighbours: Array
    threads: int = 1


def write(folder: Path, request: Request) -> None:
    """Writes the request; floats are written so that they come back bit by bit."""
    folder.mkdir(parents=True, exist_ok=True)
    text = {
        "runtime": request.runtime,
        "function": to_data(request.function),
        "derivative": to_data(request.derivative),
        "order": request.order,
        "dtype": request.points.dtype.name,
        "points": request.points.tolist(),
        "neighbours": request.neighbours.tolist(),
        "threads": request.threads,
    }
    (folder / FILE).write_text(json.dumps(text))


def read(folder: Path) -> Request:
    """The request in a job folder."""
    text = json.loads((folder / FILE).read_text())
    dtype = np.dtype(text["dtype"])
    return Request(
        runtime=text["runtime"],
        function=from_data(text["function"]),
        derivative=from_data(text["derivative"]),
        order=text["order"],
        points=np.array(text["points"], dtype),
        neighbours=np.array(text["neighbours"], dtype).reshape(-1, len(text["points"])),
        threads=text["threads"],
    )
