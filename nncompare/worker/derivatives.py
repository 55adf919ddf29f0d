"""A formula in one runtime: the job folder that the parent writes, and the worker's answers
to it.
"""

from __future__ import annotations

import importlib
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.backends.catalog import CATALOG, load_backend
from nncompare.backends.derivatives import MODES, Derivatives
from nncompare.spec.expression import Call, Expression, from_data, nodes, to_data

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


def answer(request: Request, send: Callable[..., None]) -> None:
    """Imports the runtime's framework and sends ``imported`` with ``versions`` and ``notes``, then
    one ``derived`` for each method.

    ``derived`` has ``method``, ``status`` (``ok``, ``n/a`` or ``failed``), ``reason``, ``how`` and
    ``values``; a value that is not finite is null. A method that raises is its own failure: the
    others are still asked.
    """
    versions = load_backend(request.runtime).versions()
    module = importlib.import_module(f"{CATALOG[request.runtime].module}.derivatives")
    derivatives: Derivatives = module.DERIVATIVES
    send("imported", versions=versions, notes=_notes(derivatives, request.function))
    derivatives.configure(request.runtime.partition(":")[2], request.threads)
    x, order = request.points, request.order
    asked: dict[str, Callable[[], Array]] = {
        "value": lambda: derivatives.value(request.function, x),
        "reverse": lambda: derivatives.reverse(request.function, x, order),
        "forward": lambda: derivatives.forward(request.function, x, order),
        "symbolic": lambda: derivatives.value(request.derivative, x),
        "neighbours": lambda: derivatives.value(request.function, request.neighbours.ravel()),
    }
    for method, compute in asked.items():
        missing = derivatives.why_not(method, order) if method in MODES else None
        how = derivatives.how.get(method, derivatives.how["value"])
        if missing is not None:
            send("derived", method=method, status="n/a", reason=missing, how=how, values=None)
            continue
        try:
            values = _checked(compute(), x.dtype)
        except Exception as error:
            traceback.print_exc()
            lines = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
            send("derived", method=method, status="failed", reason=reason, how=how, values=None)
        else:
            send(
                "derived", method=method, status="ok", reason=None, how=how, values=values.tolist()
            )


def _notes(derivatives: Derivatives, function: Expression) -> list[str]:
    called = {node.function for node in nodes(function) if isinstance(node, Call)}
    return [note for name, note in derivatives.notes.items() if name in called]


def _checked(values: Array, dtype: np.dtype[Any]) -> Array:
    """The values, if they have the asked dtype: a hidden float32 would be taken for an error of the
    method.
    """
    if values.dtype != dtype:
        raise TypeError(f"the framework answered in {values.dtype}, not in {dtype}")
    return values
