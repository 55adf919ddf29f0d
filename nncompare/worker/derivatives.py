"""A formula in one runtime: the worker's answers to what it is asked."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.backends.derivatives import MODES, Derivatives
from nncompare.backends.loading import load_backend, load_derivatives
from nncompare.formulas.expression import Call, Expression, nodes
from nncompare.spec.runtimes import mode_of
from nncompare.wire.derivative_job import Request

Array = NDArray[Any]


def answer(request: Request, send: Callable[..., None]) -> None:
    """Imports the runtime's framework and sends ``imported`` with ``versions`` and ``notes``, then
    one ``derived`` for each method.

    ``derived`` has ``method``, ``status`` (``ok``, ``n/a`` or ``failed``), ``reason``, ``how`` and
    ``values``; a value that is not finite is null. A method that raises is its own failure: the
    others are still asked.
    """
    versions = load_backend(request.runtime).versions()
    derivatives = load_derivatives(request.runtime)
    send("imported", versions=versions, notes=_notes(derivatives, request.function))
    derivatives.configure(mode_of(request.runtime), request.threads)
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
