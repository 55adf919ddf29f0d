"""Wrong updates of one parameter: the optimizer's formula on the runtime's own gradients, with one
thing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks import dead
from nncompare.studies.verify.checks.distance import absolute, size
from nncompare.studies.verify.checks.update import checked_steps
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.fields import numbers, other_values
from nncompare.studies.verify.explanation.matching import Change, Fit, Target, fit
from nncompare.studies.verify.explanation.replay import Replay
from nncompare.wire.observation import Observation

TOLERANCE = 1e-9
"""Of an explained update, relative to its size."""
_SHARES = np.outer(np.logspace(-9, 0, 10), (1.0, -1.0)).ravel()
"""Of the weights, from which the search for a decay begins: it bends the rule over many orders of
magnitude.
"""
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Of a weight, relative: what no explanation can account for."""
_NOTHING = 1e-12
"""Relative to an update: no more than rounding."""
_RIGHT = 1e-9
"""A factor that is nearer to one than this is one."""
_FLOAT32 = float(np.finfo(np.float32).eps)


def update_looks_like(
    context: Context, observation: Observation, name: str, tolerance: float = TOLERANCE
) -> str | None:
    """What explains the updates of the parameter ``name``, in words; None: no single change of the
    formula does.

    Args:
        tolerance: relative to the size of an update.
    """
    replay = Replay(context=context, observation=observation, name=name)
    with np.errstate(all="ignore"):
        target = _target(replay, tolerance)
        return (
            _meaning_looks_like(replay, target.limit)
            or target.best(other_values(replay.optimizer, _with_optimizer(replay)))
            or target.fitted(numbers(replay.optimizer, _with_optimizer(replay)))
            or target.best(_transformed(replay))
            or target.fitted(_scaled(replay, target))
            or _rates_look_like(replay, target)
        )


def _target(replay: Replay, tolerance: float) -> Target:
    steps = checked_steps(replay.context, replay.observation)
    right = np.stack([np.asarray(step.expected[replay.name], np.float64) for step in steps])
    target = Target(given=replay.after, right=right, unit=replay.sizes, limit=tolerance)
    # nearly all of a deviation must be explained, however small it is; but no more sharply than the
    # weights are rounded
    rounding = _ROUNDING * float((np.abs(replay.after) / replay.sizes).max(initial=0.0))
    return replace(target, limit=max(min(tolerance, 0.1 * target.deviation), rounding))


def _meaning_looks_like(replay: Replay, limit: float) -> str | None:
    """Another meaning of what frameworks disagree on, or no clipping.

    A parameter alone may be too small to tell two of them apart: the norm of one tensor from that
    of all, say. Then the others do.
    """
    right = _left(replay, replay.context)
    candidates = []
    for words, context in _other_meanings(replay.context):
        left = _left(replay, context)
        # one that leaves this parameter as it is explains nothing
        if left[replay.name] <= limit < right[replay.name]:
            candidates.append((max(left.values()), words))
    if not candidates:
        return None
    # of those that differ by rounding alone the first is the likelier
    worst, words = min(candidates, key=lambda candidate: max(candidate[0], _NOTHING))
    if worst <= max(10 * limit, TOLERANCE):
        return words
    return f"{candidates[0][1]}; but not in all parameters"


def _other_meanings(context: Context) -> Iterator[tuple[str, Context]]:
    """Words, and the context in which something has another meaning."""
    train = context.job.experiment.train
    if train.clip_norm is not None:
        free = train.model_copy(update={"clip_norm": None})
        experiment = context.job.experiment.model_copy(update={"train": free})
        job = replace(context.job, experiment=experiment)
        yield "the gradient is not clipped", replace(context, job=job)
    for other in context.semantics.alternatives(context.job):
        yield f"{other.setting}: {other.words}", replace(context, semantics=other.semantics)


def _left(replay: Replay, context: Context) -> dict[str, float]:
    """Trained parameter -> how far its updates are from the formulas of a context, relative to
    their size; without those whose gradient is nothing but rounding.
    """
    worst: dict[str, float] = {}
    for step in checked_steps(context, replay.observation):
        largest = max((size(value) for value in step.gradient.values()), default=0.0)
        for name in replay.context.trained:
            if size(step.gradient[name]) <= dead.SHARE["float64"] * largest:
                continue
            before = step.before[name].astype(np.float64)
            moved = size(step.after[name] - before) or 1.0
            apart = absolute(step.after[name], step.expected[name]) / moved
            worst[name] = max(worst.get(name, 0.0), apart)
    return {replay.name: np.inf, **worst}


def _transformed(replay: Replay) -> Iterator[Change]:
    """What can happen to any optimizer."""
    yield "the weights are not updated", replay.before
    yield "the new weights are rounded to float32", _rounded(replay.run())
    yield "the gradient is rounded to float32", replay.run(gradient=lambda _, g: _rounded(g))
    rates = [float(np.float32(rate)) for rate in replay.rates]
    yield "the learning rate is rounded to float32", replay.run(rates=rates)
    for step in range(1, replay.steps):
        words = f"the optimizer's state starts anew in update {step + 1}"
        yield words, replay.run(restart=step)


def _scaled(replay: Replay, target: Target) -> Iterator[Fit]:
    """One factor on the learning rate or the gradient, or a share of the weights that has no
    business there.
    """

    def rate(factor: float) -> Array:
        return replay.run(rates=[factor * rate for rate in replay.rates])

    def slope(factor: float) -> Array:
        return replay.run(gradient=lambda _, g: factor * g)

    yield "learning rate times {0:.10g}", 1.0, rate
    yield "gradient times {0:.10g}", 1.0, slope
    yield from _shared(replay, target, replay.optimizer, "")
    # a number of the optimizer may be left out, and the share stand for it
    for name in type(replay.optimizer).model_fields:
        value = getattr(replay.optimizer, name)
        if type(value) is float and value:
            without = replay.optimizer.model_copy(update={name: 0.0})
            yield from _shared(replay, target, without, f"{name} is left out, and ")


def _shared(replay: Replay, target: Target, optimizer: Any, begin: str) -> Iterator[Fit]:
    """A share of the weights in the gradient, or taken off the weights."""

    def in_gradient(share: float) -> Array:
        return replay.run(optimizer=optimizer, gradient=lambda w, g: g + share * w)

    def by_rate(share: float) -> Array:
        return replay.run(optimizer=optimizer, weights=lambda w, rate: w * (1 - rate * share))

    def off(share: float) -> Array:
        return replay.run(optimizer=optimizer, weights=lambda w, _: w * (1 - share))

    for words, make in (
        ("{0:.6g} times the weights are added to the gradient", in_gradient),
        ("the weights shrink by {0:.6g} times the learning rate", by_rate),
        ("the weights shrink by {0:.6g}", off),
    ):
        start = min(_SHARES, key=lambda share: target.distance(make(share)))
        yield begin + words, float(start), make


def _rates_look_like(replay: Replay, target: Target) -> str | None:
    """Learning rates that are wrong in some updates, each in its own way."""
    factors = []
    for step in range(replay.steps):

        def make(factor: float, step: int = step) -> Array:
            rates = [*replay.rates]
            rates[step] *= factor
            return np.asarray(replay.run(rates=rates)[step])

        given = replay.after[step]
        factor = fit(make, given, 1.0)
        if factor is None:
            return None
        left = absolute(given, make(factor)) / float(replay.sizes[step].max())
        if left > 10 * target.limit:
            return None
        factors.append(factor)
    odd = {step: factor for step, factor in enumerate(factors) if abs(factor - 1) > _RIGHT}
    if not odd:
        return None
    told = ", ".join(f"{factor:.10g} in update {step + 1}" for step, factor in odd.items())
    words = f"learning rate times {told}"
    if all(abs(factor - 1) <= _FLOAT32 for factor in factors):
        words += ", as much as rounding to float32"
    return words


def _with_optimizer(replay: Replay) -> Callable[[Any], Array]:
    def weights(optimizer: Any) -> Array:
        return replay.run(optimizer=optimizer)

    return weights


def _rounded(values: Array) -> Array:
    return values.astype(np.float32).astype(np.float64)
