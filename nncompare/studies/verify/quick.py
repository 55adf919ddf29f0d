"""The short form of a check: what a run's own workers saw after their training, judged in the run's
own dtype.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nncompare.data.base import Data, Split
from nncompare.numerics.parity import checked_examples
from nncompare.spec.job import Job
from nncompare.studies.verify import gates, rounding
from nncompare.studies.verify.context import Context, dead_tensors
from nncompare.studies.verify.document import as_result
from nncompare.studies.verify.explain import explain
from nncompare.studies.verify.gates import Check, absolute
from nncompare.studies.verify.judge import Judge, summarize
from nncompare.studies.verify.record import Parity
from nncompare.wire.observation import Observation
from nncompare.worker.observe import QUICK_STEPS

FLOAT32_GRADIENT = 1e-3
"""Relative to the largest entry of the tensor, but to no less than a thousandth of the whole
gradient's. Float32 nets with kinks differ by 2e-5 here, with BatchNorm by more; a wrong layer by
far more, and the full check finds the rest.
"""
FLOAT32_LOSS = 1e-3
"""Relative, of each of the steps."""


def judge_quick(job: Job, data: Data, seen: Mapping[str, Observation]) -> Parity:
    """The parity of a run.

    Args:
        job: of any of its runtimes.
        data: of the run.
        seen: what the runtimes that finished did; at least one.
    """
    context = quick_context(job, data)
    checks = list(_checks(context, seen))
    failed = [check for check in checks if not check.passed]
    findings = explain(context, seen, checks) if failed else []
    return Parity(
        status="failed" if failed else "certified",
        form="quick",
        reason=_reason(context, seen),
        checks=tuple(as_result(check) for check in summarize(checks)),
        findings=tuple(findings),
    )


def quick_context(job: Job, data: Data) -> Context:
    """The examples that ``worker.observe.quick`` looked at."""
    count = checked_examples(len(data.train), job.experiment.train.batch_size, QUICK_STEPS)
    few = Split(x=data.train.x[:count], y=data.train.y[:count])
    return Context(replace(job, dropout="masks"), replace(data, train=few), QUICK_STEPS)


def _reason(context: Context, seen: Mapping[str, Observation]) -> str:
    alone = "" if len(seen) > 1 else "; one runtime, nothing to compare it with but the formulas"
    return f"forward pass, gradients and {QUICK_STEPS} steps in {context.dtype}{alone}"


def _checks(context: Context, seen: Mapping[str, Observation]) -> Iterator[Check]:
    gradients = [observation.gradients for observation in seen.values()]
    share = gates.DEAD_SHARE if context.dtype == "float64" else 1e-5
    dead = dead_tensors(context, gradients, share)
    judge = Judge(context, dead)
    names = list(seen)
    for runtime in names:
        yield from rounding.room_by_formula(
            context, seen[runtime], list(judge.at_probe(runtime, seen[runtime]))
        )
    for index, runtime in enumerate(names):
        for against in names[:index]:
            a, b = seen[runtime], seen[against]
            if context.dtype == "float64":
                yield from judge.gradients(runtime, against, a.gradients, b.gradients)
                yield from judge.losses(runtime, against, a, b)
                yield from judge.weights(
                    runtime, against, "weights", QUICK_STEPS, a, b, gates.WEIGHTS
                )
            else:
                yield from rounding.room_for_kinks(
                    context, dead, list(_single(context, runtime, against, a, b))
                )


def _single(
    context: Context, runtime: str, against: str, a: Observation, b: Observation
) -> Iterator[Check]:
    """Two float32 runtimes, without the floors that only a float64 run of each can tell."""
    largest = max(
        (gates.scale(value) for value in b.gradients.values() if value.any()), default=1.0
    )
    for name in context.trained:
        size = max(
            gates.scale(b.gradients[name]) if b.gradients[name].any() else 0.0, 1e-3 * largest
        )
        worst = absolute(a.gradients.get(name), b.gradients[name]) / size
        yield _check(runtime, against, "gradient", name, worst, FLOAT32_GRADIENT)
    first = abs(float(b.losses[""][0])) if len(b.losses[""]) else 1.0
    for step, (x, y) in enumerate(zip(a.losses[""], b.losses[""], strict=True)):
        worst = abs(float(x) - float(y)) / max(abs(float(y)), 1e-2 * first, 1e-12)
        check = _check(runtime, against, "loss, every step", None, worst, FLOAT32_LOSS)
        yield replace(check, step=step + 1)


def _check(
    runtime: str, against: str, quantity: str, layer: str | None, worst: float, gate: float
) -> Check:
    return Check(
        runtime=runtime,
        against=against,
        quantity=quantity,
        layer=layer,
        dtype="float32",
        worst=worst,
        gate=gate,
    )
