"""A formula in one runtime: the worker's answers to what it is asked."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from nncompare.backends.derivatives import MODES, Derivatives
from nncompare.backends.loading import load_backend, load_derivatives
from nncompare.formulas.expression import Call, Expression, nodes
from nncompare.spec.runtimes import mode_of
from nncompare.wire.connection import Send
from nncompare.wire.messages import Derived, Imported, Method
from nncompare.wire.requests import DeriveRequest
from nncompare.worker.failures import in_one_line

Array = NDArray[Any]


def answer(request: DeriveRequest, send: Send) -> None:
    """Imports the runtime's framework and says ``imported``, then one ``derived`` for each method.

    A method that raises is its own failure: the others are still asked.
    """
    versions = load_backend(request.runtime).versions()
    derivatives = load_derivatives(request.runtime)
    send(Imported(versions=versions, notes=_notes(derivatives, request.function)))
    derivatives.configure(mode_of(request.runtime), request.threads)
    for method, compute in _methods(request, derivatives).items():
        send(_ask(request, derivatives, method, compute))


def _methods(request: DeriveRequest, derivatives: Derivatives) -> dict[Method, Callable[[], Array]]:
    """Method -> what computes it, in the order in which they are asked."""
    function = request.function
    order = request.order
    x = request.points
    return {
        "value": lambda: derivatives.value(function, x),
        "reverse": lambda: derivatives.reverse(function, x, order),
        "forward": lambda: derivatives.forward(function, x, order),
        "symbolic": lambda: derivatives.value(request.derivative, x),
        "neighbours": lambda: derivatives.value(function, request.neighbours.ravel()),
    }


def _ask(
    request: DeriveRequest,
    derivatives: Derivatives,
    method: Method,
    compute: Callable[[], Array],
) -> Derived:
    # symbolic derivatives and neighbours are values of a formula
    how = derivatives.how.get(method, derivatives.how["value"])
    # a value can always be computed; a mode of differentiation may be missing
    if method in MODES:
        missing = derivatives.why_not(method, request.order)
        if missing is not None:
            return Derived(method=method, status="n/a", reason=missing, how=how)
    try:
        values = compute()
        # a hidden float32 would be taken for an error of the method
        if values.dtype != request.points.dtype:
            raise TypeError(
                f"the framework answered in {values.dtype}, not in {request.points.dtype}"
            )
    except Exception as error:
        # its traceback stands in the log, and the other methods are still asked
        traceback.print_exc()
        return Derived(method=method, status="failed", reason=in_one_line(error), how=how)
    return Derived(method=method, status="ok", how=how, values=tuple(values.tolist()))


def _notes(derivatives: Derivatives, function: Expression) -> tuple[str, ...]:
    """What is known of the framework's operations in this formula."""
    # a note about a function that is not there would only confuse
    called = {node.function for node in nodes(function) if isinstance(node, Call)}
    return tuple(note for name, note in derivatives.notes.items() if name in called)
