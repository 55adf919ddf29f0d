"""Wrong updates of one parameter: the optimizer's formula on the runtime's own gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial

import numpy as np

from nncompare.backends.base import Array
from nncompare.numerics import updates
from nncompare.numerics.semantics import Clipping
from nncompare.studies.verify.checks.subject import Subject
from nncompare.studies.verify.checks.update import by_formula
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.changed import (
    Change,
    Fit,
    Inputs,
    meanings,
    times,
    to_float32,
)
from nncompare.studies.verify.explanation.matching import Target
from nncompare.wire.observation import Observation

TOLERANCE = 1e-9
"""Of an explained update, relative to its size."""
_SHARES = np.outer(np.logspace(-9, 0, 10), (1.0, -1.0)).ravel()
"""Of the weights, from which the search for a decay begins: it bends the rule over many orders of
magnitude.
"""
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Of a weight, relative: what no explanation can account for."""
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
    steps = context.plan.update_steps
    kept = [observation.update_weights[step][name] for step in range(steps + 1)]
    weights = np.stack(kept).astype(np.float64)
    before, after = weights[:-1], weights[1:]
    entries = tuple(range(1, weights.ndim))
    moved = np.abs(after - before).max(axis=entries, initial=0.0, keepdims=True)
    # updates of different learning rates count the same
    sizes = np.where(moved == 0, 1.0, moved)
    rates = np.reshape(context.plan.updates.learning_rate[:steps], sizes.shape)
    target = Target(
        formula=_formula(context, observation, name, before, rates),
        inputs=Inputs(context=context, part=context.job.experiment.train.optimizer),
        given=after,
        tolerance=tolerance,
        relative_to=sizes,
        rounding=_ROUNDING * float((np.abs(after) / sizes).max(initial=0.0)),
    )
    changes, fits = _changes(target.inputs, before), _fits(target.inputs, before, rates)
    return (
        _meaning_looks_like(observation, target)
        or target.looks_like(changes, fits)
        or _rates_look_like(target, before)
    )


def _formula(
    context: Context, observation: Observation, name: str, before: Array, rates: Array
) -> Callable[[Inputs], Array]:
    """``(steps, …)``: the new weights. What can be changed: ``gradient`` (clipped), ``weights`` and
    ``rate``, all steps at once; ``state 1`` …, what the optimizer knows before a step.

    Args:
        before: ``(steps, …)``, the weights; ``rates``: ``(steps, 1, …)``.
    """
    tables = []
    for step in range(len(before)):
        rows, squares = context.plan.updates.rows(step), observation.update_squares.get(step)
        tables.append(context.tables(rows, squares))

    @cache
    def clipped(norm: float | None, clipping: Clipping) -> Array:
        semantics = replace(context.semantics, clipping=clipping)
        found = []
        for step, use in enumerate(tables):
            whole = observation.update_gradients[step]
            found.append(updates.clip(whole, norm, semantics, use)[name])
        return np.stack(found).astype(np.float64)

    def formula(inputs: Inputs) -> Array:
        train, semantics = inputs.context.job.experiment.train, inputs.context.semantics
        gradients = inputs.touch("gradient", clipped(train.clip_norm, semantics.clipping))
        weights = inputs.touch("weights", before)
        moving = inputs.touch("rate", rates)
        state = updates.State()
        made = []
        for step, use in enumerate(tables):
            new, state = updates.step(
                inputs.part,
                inputs.touch(f"state {step + 1}", state),
                {name: weights[step]},
                {name: gradients[step]},
                moving[step].item(),
                penalty=train.penalty,
                semantics=semantics,
                tables=use,
            )
            made.append(new[name])
        return np.stack(made)

    return formula


@np.errstate(all="ignore")
def _meaning_looks_like(observation: Observation, target: Target) -> str | None:
    """Another meaning of what frameworks disagree on, or no clipping.

    A parameter alone may be too small to tell two of them apart: the norm of one tensor from that
    of all, say. Then the checks of the others do.
    """
    found = []
    for words, changed in _other_meanings(target.inputs):
        if target.explained_by(changed):
            subject = Subject(context=changed.context, runtime="", seen=observation)
            worst = max(check.severity for check in by_formula(subject))
            # of those that pass the first is the likelier
            found.append((max(worst, 1.0), words))
    if not found:
        return None
    worst, words = min(found, key=lambda one: one[0])
    if worst <= max(1.0, target.tolerance / TOLERANCE):
        return words
    return f"{found[0][1]}; but not in all parameters"


def _other_meanings(inputs: Inputs) -> Iterator[Change]:
    job = inputs.context.job
    train = job.experiment.train.model_copy(update={"clip_norm": None})
    experiment = job.experiment.model_copy(update={"train": train})
    free = replace(inputs.context, job=replace(job, experiment=experiment))
    yield "the gradient is not clipped", replace(inputs, context=free)
    yield from meanings(inputs)


def _changes(inputs: Inputs, before: Array) -> Iterator[Change]:
    """What can happen to any optimizer."""
    yield "the weights are not updated", inputs.result(lambda _: before)
    yield "the new weights are rounded to float32", inputs.result(to_float32)
    yield "the gradient is rounded to float32", inputs.on(["gradient"], to_float32)
    yield "the learning rate is rounded to float32", inputs.on(["rate"], to_float32)
    for step in range(2, len(before) + 1):
        anew = inputs.with_values({f"state {step}": updates.State()})
        yield f"the optimizer's state starts anew in update {step}", anew


def _fits(inputs: Inputs, before: Array, rates: Array) -> Iterator[Fit]:
    """One factor on the learning rate or the gradient, or a share of the weights that has no
    business there.
    """
    yield times(inputs, ["rate"], "learning rate times {0:.10g}")
    yield times(inputs, ["gradient"], "gradient times {0:.10g}")
    yield from _shares(inputs, before, rates, "")
    # a number of the optimizer may be left out, and the share stand for it
    for name in type(inputs.part).model_fields:
        value = getattr(inputs.part, name)
        if type(value) is float and value:
            without = inputs.with_field(name, 0.0)
            yield from _shares(without, before, rates, f"{name} is left out, and ")


def _shares(inputs: Inputs, before: Array, rates: Array, begin: str) -> Iterator[Fit]:
    """A share of the weights in the gradient, or taken off the weights."""

    def added(share: float) -> Inputs:
        return inputs.on(["gradient"], lambda g: g + share * before)

    def taken(share: float, by: Array | float = 1.0) -> Inputs:
        return inputs.on(["weights"], lambda w: w * (1 - by * share))

    by_rate = partial(taken, by=rates)
    yield f"{begin}{{0:.6g}} times the weights are added to the gradient", _SHARES, added
    yield f"{begin}the weights shrink by {{0:.6g}} times the learning rate", _SHARES, by_rate
    yield f"{begin}the weights shrink by {{0:.6g}}", _SHARES, taken


@np.errstate(all="ignore")
def _rates_look_like(target: Target, before: Array) -> str | None:
    """Learning rates that are wrong in some updates, each in its own way: every update is a
    multiple of the right one.
    """
    moved, right = target.given - before, target.right - before
    entries = tuple(range(1, moved.ndim))
    factors = (moved * right).sum(entries, keepdims=True) / (right**2).sum(entries, keepdims=True)
    left = np.abs(moved - factors * right) / target.unit
    odd = np.flatnonzero(np.abs(factors - 1) > _RIGHT)
    # written so that NaN explains nothing
    if not left.max() <= 10 * target.limit or not len(odd):
        return None
    told = [f"{factors.flat[step]:.10g} in update {step + 1}" for step in odd]
    words = f"learning rate times {', '.join(told)}"
    if np.abs(factors - 1).max() <= _FLOAT32:
        words += ", as much as rounding to float32"
    return words
