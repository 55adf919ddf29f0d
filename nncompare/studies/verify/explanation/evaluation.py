"""Wrong evaluation, and the framework's own dropout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from nncompare.backends.base import EVALUATION_BATCH, Array, Params
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.changed import (
    Change,
    Inputs,
    counts,
    to_float32,
)
from nncompare.studies.verify.explanation.layer import LayerAtWork, looks_like
from nncompare.studies.verify.explanation.matching import Target
from nncompare.wire.observation import Observation, evaluation_rows

_TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
"""Relative."""


def logits_look_like(context: Context, observation: Observation, mark: int) -> str | None:
    """What ``predict`` gave after ``mark`` steps, in words."""
    given = np.asarray(dict(context.evaluations(observation))[mark])
    x = context.data.test.x[evaluation_rows(len(context.data.test))]
    chunks = np.arange(len(x)) // EVALUATION_BATCH

    def formula(inputs: Inputs) -> Array:
        weights = inputs.touch("weights", observation.checkpoints[mark])
        cut = inputs.touch("chunks", chunks)
        step = inputs.touch("masks", mark) if inputs.training else None
        made = []
        for chunk in np.unique(cut):
            run = inputs.context.run(weights, x[cut == chunk], step)
            made.append(run.outputs[context.last_node])
        return np.concatenate(made)

    inputs = Inputs(context=context, training=False)
    tolerance = _TOLERANCE[context.dtype]
    target = Target(formula=formula, inputs=inputs, given=given, tolerance=tolerance)
    if given.shape != target.right.shape:
        return (
            f"predict gives {given.shape} in place of {target.right.shape}: it loses or repeats"
            " examples"
        )
    others = {other: kept for other, kept in observation.checkpoints.items() if other != mark}
    factor = counts(inputs, "predict gives {0:.10g} times the right numbers", target.right)
    return target.looks_like(_changes(target, others, mark, chunks), [factor])


def _changes(
    target: Target, others: Mapping[int, Params], mark: int, chunks: Array
) -> Iterator[Change]:
    """Other weights, the other mode, one chunk of examples in it alone, float32."""
    inputs = target.inputs
    for other, weights in sorted(others.items()):
        words = f"predict uses the weights after step {other}"
        yield words, inputs.with_values({"weights": weights})
    words = "predict runs in training mode"
    together = np.zeros_like(chunks)
    for step in (0, mark - 1, mark):
        for where, cut in (("", chunks), (", on all examples at once", together)):
            changed = inputs.with_values({"masks": step, "chunks": cut})
            yield f"{words}{where}", replace(changed, training=True)
        for chunk in np.unique(chunks):
            mixed = partial(_mixed, target.right, (chunks != chunk)[:, None])
            changed = inputs.with_values({"masks": step}).result(mixed)
            where = f" in chunk {chunk + 1} of its examples"
            yield f"{words}{where}", replace(changed, training=True)
    yield "predict's numbers are rounded to float32", inputs.result(to_float32)


def _mixed(right: Array, where: Array, made: Array) -> Array:
    return np.where(where, right, made)


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
    node = context.node(check.layer or "")
    work = LayerAtWork(node=node, own={}, x=x, masks=lambda _name, _shape: kept)
    return looks_like(work, work.target(context, y, training=True))
