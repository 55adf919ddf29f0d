"""Wrong evaluation, and the framework's own dropout: the reference with one thing changed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.backends.base import EVALUATION_BATCH, Array, Params
from nncompare.numerics import reference
from nncompare.numerics.reference import FORWARD, Run
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import relative, scale
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.layer import LayerAtWork, looks_like
from nncompare.studies.verify.explanation.matching import Change, Target
from nncompare.wire.observation import Observation, evaluation_rows

_TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
"""Relative."""


def logits_look_like(context: Context, observation: Observation, mark: int) -> str | None:
    """What ``predict`` gave after ``mark`` steps, in words."""
    given = np.asarray(dict(context.evaluations(observation))[mark], np.float64)
    right = context.evaluated(observation.checkpoints[mark])
    if given.shape != right.shape:
        return (
            f"predict gives {given.shape} in place of {right.shape}: it loses or repeats examples"
        )
    limit = min(_TOLERANCE[context.dtype], 0.1 * relative(given, right))
    target = Target(given=given, right=right, unit=scale(right), limit=limit)
    with np.errstate(all="ignore"):
        return target.best(_changes(context, observation, mark, right)) or target.fitted(
            [("predict gives {0:.10g} times the right numbers", 1.0, lambda c: c * right)]
        )


def _changes(
    context: Context, observation: Observation, mark: int, right: Array
) -> Iterator[Change]:
    """Other weights, the other mode, one chunk of examples in it alone, float32."""
    for other, weights in sorted(observation.checkpoints.items()):
        if other != mark:
            yield f"predict uses the weights after step {other}", context.evaluated(weights)
    weights = observation.checkpoints[mark]
    together = np.zeros(len(right), int)
    chunks = np.arange(len(right)) // EVALUATION_BATCH
    for step in (0, mark - 1, mark):
        whole = _in_training_mode(context, weights, step, together)
        yield "predict runs in training mode, on all examples at once", whole
        made = _in_training_mode(context, weights, step, chunks)
        yield "predict runs in training mode", made
        for chunk in range(int(chunks[-1]) + 1):
            where = (chunks == chunk)[:, None]
            words = f"predict runs in training mode in chunk {chunk + 1} of its examples"
            yield words, np.where(where, made, right)
    yield "predict's numbers are rounded to float32", right.astype(np.float32).astype(np.float64)


def _in_training_mode(context: Context, weights: Params, step: int, chunks: Array) -> Array:
    """The logits with every chunk's own statistics and the dropout masks of a step."""
    x = context.data.test.x[evaluation_rows(len(context.data.test))]
    made = [
        reference.forward(
            context.model,
            weights,
            x[chunks == chunk],
            training=True,
            masks=context.masks(step),
            semantics=context.semantics,
        )
        for chunk in range(int(chunks[-1]) + 1)
    ]
    return np.concatenate(made)


def dropout_looks_like(context: Context, observation: Observation, check: Check) -> str | None:
    """What the framework's own dropout did, in words: the formula with the values that it kept."""
    drawn = context.drawn(observation)[check.layer or ""]
    if drawn is None:
        return "the layer gave no output of the shape of its input"
    x, y, rate = drawn
    kept = y != 0
    share = float(kept[x != 0].mean())
    if check.quantity == Quantity.DROPOUT_SHARE_KEPT:
        return f"rate {1 - share:.2g} in place of {rate:g}: it keeps {share:.3g} of the values"
    node = next(node for node in context.model.walk() if node.name == check.layer)
    run = Run(params={}, forward=FORWARD, training=True, masks=lambda _name, _shape: kept)
    return looks_like(context, LayerAtWork(node=node, own={}, x=x, run=run), y, 1e-6)
