"""What looks wrong in long pieces, and in evaluation after training."""

from __future__ import annotations

import numpy as np

from nncompare.backends.base import EVALUATION_BATCH
from nncompare.numerics import reference
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import Check, relative
from nncompare.worker.observation import Observation, evaluation_rows

_TOLERANCE = 1e-9
_ROUNDED = 2e-7
"""What one rounding to float32 leaves, relative, and a little more."""


def long_pieces_look_like(context: Context, seen: Observation) -> str:
    """Whole epochs in one piece, next to single steps."""
    plan, steps = context.plan.trajectory, context.plan.whole_steps
    words = "pieces of several steps do not do what single steps do"
    names = [name for name in context.model.parameters if name in seen.whole]
    for other in sorted(seen.checkpoints):
        if other not in (0, steps) and all(
            relative(seen.whole[name], seen.checkpoints[other][name]) < _TOLERANCE for name in names
        ):
            return f"{words}: they end with the weights after step {other}"
    sizes = plan.sizes(0, plan.steps_per_epoch)
    if sizes[-1] < sizes[0]:
        return f"{words}: a batch (the smaller last batch?) left out, repeated or out of order, or a rate or mask kept"
    return f"{words}: a batch left out, repeated or out of order, or a rate or mask kept"


def piece_loss_looks_like(context: Context, seen: Observation, check: Check) -> str | None:
    """The mean loss of an epoch in one piece, next to its single steps."""
    assert check.step is not None
    plan, end = context.plan.trajectory, check.step
    begin = end - plan.steps_per_epoch
    single = np.asarray(seen.losses[""][begin:end], np.float64)
    sizes = plan.sizes(begin, end)
    given = float(seen.whole_losses[""][end // plan.steps_per_epoch - 1])
    full = sizes == plan.batch_size
    for words, value in (
        (
            "the steps of a piece are not weighed by their examples: a smaller last batch counts as a full one",
            single.mean(),
        ),
        ("the loss of its last step in place of the mean", single[-1]),
        ("the loss of its first step in place of the mean", single[0]),
        ("the sum over steps in place of the mean", single.sum()),
        ("the sum over examples in place of the mean", (single * sizes).sum()),
        ("the smaller last batch is left out of the mean", single[full].mean() if full.any() else np.nan),
        ("the mean of all but its first step", single[1:].mean() if len(single) > 1 else np.nan),
    ):
        if abs(given - value) <= _TOLERANCE * abs(value):
            return words
    return None


def logits_look_like(context: Context, seen: Observation) -> str:
    """``predict`` after the trajectory, next to the formulas at the weights that ``params`` showed."""
    words = "inference mode after training does not use the weights and statistics that the runtime says it has"
    given, x = np.asarray(seen.logits[""], np.float64), context.data.test.x
    last = seen.checkpoints[context.plan.checkpoints[-1]]
    right = context.evaluated(last)
    if given.shape != right.shape:
        return f"predict gives {given.shape} in place of {right.shape}: it loses or repeats examples"
    rows = evaluation_rows(len(x))
    chunk = np.arange(len(rows)) < EVALUATION_BATCH
    off = [relative(given[part], right[part]) > _TOLERANCE for part in (chunk, ~chunk)]
    if off[0] != off[1]:
        return f"predict is wrong in its {'first' if off[0] else 'second'} chunk of {EVALUATION_BATCH} examples only"
    for mark, weights in sorted(seen.checkpoints.items()):
        if weights is not last and relative(given, context.evaluated(weights)) <= _TOLERANCE:
            return f"predict uses the weights after step {mark}"
    with np.errstate(all="ignore"):
        for part in (chunk, ~chunk, chunk | ~chunk):
            for step in (0, context.steps - 1):
                masks = context.masks(step)
                made = reference.forward(context.model, last, x[rows[part]], training=True, masks=masks)
                if relative(given[part], made) <= _TOLERANCE:
                    return "predict runs in training mode: the batch's statistics, or dropout"
        if (given >= 0).all() and np.allclose(given.sum(axis=-1), 1):
            return "predict gives probabilities in place of logits"
        if given.dtype == np.float64 and relative(given, right.astype(np.float32)) < _ROUNDED:
            return "predict's numbers are rounded to float32"
        if relative(np.sort(given, axis=None), np.sort(right, axis=None)) <= _TOLERANCE < relative(given, right):
            return "predict gives the right numbers in another order"
        ratio = float((given * right).sum() / (right**2).sum())
    if np.isfinite(ratio) and relative(given, ratio * right) <= _TOLERANCE:
        return f"predict gives {ratio:.10g} times the right numbers"
    return words
