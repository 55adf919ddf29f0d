"""``gradcheck``: one formula, its derivative by every method in every framework, against the exact
one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from nncompare.errors import UsageError, unknown_name
from nncompare.formulas.accuracy import Tolerance
from nncompare.formulas.evaluation import Array, compute
from nncompare.formulas.stencils import NAMES, STENCILS
from nncompare.launch.derivatives import derive
from nncompare.launch.machine import describe_system
from nncompare.launch.resources import usable_threads
from nncompare.launch.scratch import scratch_folder
from nncompare.records.record import head
from nncompare.spec.runtimes import CATALOG, DEFAULT_RUNTIMES, file_name
from nncompare.studies.gradcheck.exact_answer import ExactAnswer, finite_or_none, solve_exactly
from nncompare.studies.gradcheck.record import (
    JUDGED,
    METHODS,
    FormulaText,
    GradcheckRecord,
    Method,
    MethodResult,
    RuntimeDerivatives,
    StepSweep,
    ToleranceFigures,
)
from nncompare.terminal.signals import Held, held
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import DeriveRequest

DEFAULT_AT = "-5:5:100"
_SWEEP_STEPS = 48


def gradcheck(
    formula: str,
    *,
    at: str = DEFAULT_AT,
    order: int = 1,
    dtype: str = "float64",
    runtimes: Sequence[str] = DEFAULT_RUNTIMES,
    asking: Callable[[str], None] = lambda _: None,
) -> GradcheckRecord:
    """Evaluates the derivative of a formula by every method in every runtime, each in a process of
    its own.

    Args:
        formula: of ``x``, see ``spec.formula``.
        at: ``START:STOP:COUNT`` or points with commas.
        order: 1 or 2.
        dtype: ``float32`` or ``float64``; the exact values are those of the points in this dtype.
        runtimes: names of the catalog.
        asking: told the name of each runtime before it is asked.

    Raises:
        UsageError: something in the question is not allowed; nothing was started.
    """
    names = check_runtimes(runtimes)
    with held() as signals:
        with signals.obeyed():
            exact = solve_exactly(formula, at=at, order=order, dtype=dtype)
        rows = _ask(exact, names, asking, signals)
        with signals.obeyed():
            return _document(exact, rows)


def _document(exact: ExactAnswer, rows: tuple[RuntimeDerivatives, ...]) -> GradcheckRecord:
    order = exact.order
    return GradcheckRecord(
        **head("gradcheck", created=datetime.now().astimezone()) | {"name": exact.formula.text},
        environment=describe_system(),
        formula=FormulaText(text=exact.formula.text, derivative=exact.text, order=order),
        points=exact.points,
        gates={"value": _figures(exact.value_tolerance), "derivative": _figures(exact.tolerance)},
        steps={
            name: float(stencil.step(np.ones(1, exact.x.dtype))[0])
            for name, stencil in STENCILS[order].items()
        },
        runtimes=rows,
        reference=_reference(exact),
        sweep=sweep(exact),
    )


def _ask(
    exact: ExactAnswer, names: Sequence[str], asking: Callable[[str], None], signals: Held
) -> tuple[RuntimeDerivatives, ...]:
    """A row for each runtime, one process after the other."""
    rows = []
    # one after the other: each has the machine for itself
    with scratch_folder() as work:
        for name in names:
            asking(name)
            folder = work / file_name(name)
            outcome = derive(request(exact, name), folder, interruptible=signals.obeyed)
            rows.append(_row(exact, outcome))
    return tuple(rows)


def check_runtimes(runtimes: Sequence[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
        UsageError: a name that the catalog lacks.
    """
    for name in runtimes:
        if name not in CATALOG:
            raise UsageError(unknown_name("no runtime", name, CATALOG))
    return tuple(dict.fromkeys(runtimes)) or DEFAULT_RUNTIMES


def request(exact: ExactAnswer, runtime: str) -> DeriveRequest:
    """What a worker is asked."""
    return DeriveRequest(
        runtime=runtime,
        function=exact.formula.expression,
        derivative=exact.derivative,
        order=exact.order,
        points=exact.x,
        neighbours=exact.neighbours(),
        threads=usable_threads(1),
    )


def _row(exact: ExactAnswer, outcome: Outcome) -> RuntimeDerivatives:
    methods: list[MethodResult] = []
    for name, answer in outcome.derivatives.items():
        # None becomes NaN
        got = None if answer.values is None else np.array(answer.values, np.float64)
        facts = answer.model_dump(include={"status", "reason", "how"})
        # One answer, the formula's values beside the points, serves both finite differences.
        if name != "neighbours":
            methods.append(_judged(exact, name, got, facts))
            continue
        differences: dict[Method, Array] = {}
        if got is not None:
            differences = exact.differences(got.reshape(-1, len(exact.x)).astype(exact.x.dtype))
        methods += [_judged(exact, stencil, differences.get(stencil), facts) for stencil in NAMES]
    return RuntimeDerivatives(
        runtime=outcome.runtime,
        status=outcome.status,  # pydantic checks the word
        reason=outcome.reason,
        log=outcome.log,
        versions=outcome.versions,
        notes=outcome.imported.notes if outcome.imported is not None else (),
        methods=tuple(methods),
    )


def _reference(exact: ExactAnswer) -> RuntimeDerivatives:
    """The same in NumPy, which has no automatic differentiation."""
    lacks = {"status": "n/a", "reason": "NumPy has no automatic differentiation", "how": None}
    facts = {"status": "ok", "reason": None, "how": "NumPy"}
    # what the frameworks' figures are read against: the same operations, with no framework
    values = {
        "value": compute(exact.formula.expression, exact.x),
        "symbolic": compute(exact.derivative, exact.x),
        **exact.differences(compute(exact.formula.expression, exact.neighbours())),
    }
    methods = []
    for name in METHODS:
        methods.append(_judged(exact, name, values.get(name), facts if name in values else lacks))
    return RuntimeDerivatives(
        runtime="numpy", status="ok", versions={"numpy": np.__version__}, methods=tuple(methods)
    )


def _judged(
    exact: ExactAnswer, name: Method, values: Array | None, facts: dict[str, Any]
) -> MethodResult:
    """The errors of one method's values ``(N,)``; None: it gave none."""
    if values is None:
        return MethodResult(method=name, **facts)
    values = values.astype(np.float64)
    found = exact.measure(name, values)
    passed = None
    if name in JUDGED:
        # Where the chain rule has a number a method owes one; a symbolic derivative may overflow on
        # its way.
        is_missing = exact.owed & ~np.isfinite(values)
        passed = found.beyond == 0 and (name == "symbolic" or not is_missing.any())
    return MethodResult(
        method=name,
        **facts,
        largest_error=found.largest,
        largest_error_at=None if found.at is None else float(exact.x[found.at]),
        largest_relative_error=found.relative,
        not_finite=found.not_finite,
        finite_outside=int(np.isfinite(values[list(exact.points.outside)]).sum()),
        beyond=found.beyond,
        passed=passed,
        values=finite_or_none(values),
    )


def _figures(tolerance: Tolerance) -> ToleranceFigures:
    return ToleranceFigures(
        tolerance=tolerance.relative,
        scale=tolerance.scale,
        rounding=float(tolerance.rounding.max()),
    )


def sweep(exact: ExactAnswer) -> tuple[StepSweep, ...]:
    """The largest errors of finite differences in NumPy for steps from 0.5 down to where ``x + h``
    is ``x``.
    """
    smallest = np.log2(float(np.finfo(exact.x.dtype).eps))
    steps = np.unique(np.exp2(np.round(np.linspace(-1, smallest, _SWEEP_STEPS))))[::-1]
    found = []
    for name, stencil in STENCILS[exact.order].items():
        errors: list[float | None] = []
        for step in steps:
            # The same step at all points, unlike a stencil's own: that is what is looked at.
            h = np.full_like(exact.x, step)
            values = compute(exact.formula.expression, stencil.neighbours(exact.x, h))
            accuracy = exact.measure(name, stencil.derivative(values, h).astype(np.float64))
            # The largest of only some points would make the curve jump.
            errors.append(accuracy.largest if accuracy.not_finite == 0 else None)
        found.append(
            StepSweep(method=name, steps=tuple(steps.tolist()), largest_errors=tuple(errors))
        )
    return tuple(found)
