"""What looks wrong in long pieces, in evaluation, and in a framework's own dropout."""

from __future__ import annotations

import numpy as np

from nncompare.backends.base import EVALUATION_BATCH
from nncompare.numerics import reference
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation, evaluation_rows

_TOLERANCE = 1e-9
_ROUNDED = 2e-7
"""What one rounding to float32 leaves, relative, and a little more."""


def long_pieces_look_like(context: Context, seen: Observation) -> str:
    """Long pieces without evaluation between them, next to single steps with it."""
    plan, steps = context.plan.trajectory, context.plan.whole_steps
    words = "pieces of several steps do not do what single steps do"
    begins = _first_parted_epoch(context, seen)
    if begins:
        return begins
    names = [name for name in context.model.parameters if name in seen.whole]
    for other in sorted(seen.checkpoints):
        if other not in (0, steps) and all(
            relative(seen.whole[name], seen.checkpoints[other][name]) < _TOLERANCE for name in names
        ):
            return f"{words}: they end with the weights after step {other}"
    sizes = plan.sizes(0, plan.steps_per_epoch)
    if sizes[-1] < sizes[0]:
        return (
            f"{words}: a batch (the smaller last batch?) left out, repeated or out of order, or a"
            " rate or mask kept"
        )
    return f"{words}: a batch left out, repeated or out of order, or a rate or mask kept"


def _first_parted_epoch(context: Context, seen: Observation) -> str | None:
    """Where the mean losses of the pieces leave those of the single steps: only after the
    evaluation, or only in the pieces that are not whole epochs.
    """
    plan = context.plan.trajectory
    pieces = list(zip(context.plan.whole_pieces, seen.whole_losses[""], strict=True))
    means = [
        float(plan.mean_loss(begin, end, seen.losses[""][begin:end])) for (begin, end), _ in pieces
    ]
    off = [
        abs(float(given) - mean) > _TOLERANCE * abs(mean)
        for (_, given), mean in zip(pieces, means, strict=True)
    ]
    if len(off) < 2 or off[0] or not any(off):
        return None
    begin, end = pieces[off.index(True)][0]
    told = f"steps {begin + 1} to {end} in one piece are not what they are one by one"
    lengths = (
        "pieces that begin within an epoch, or have another length than the one before, are not"
        " trained as such"
    )
    # the evaluation stands there between single steps; its first loss is right
    if begin <= plan.steps_per_epoch + 1:
        return f"{told}: evaluation disturbs the training, or {lengths}"
    return f"{told}: {lengths}"


def piece_loss_looks_like(context: Context, seen: Observation, check: Check) -> str | None:
    """The mean loss of a long piece, next to its single steps."""
    assert check.step is not None
    plan, end = context.plan.trajectory, check.step
    place = [stop for _, stop in context.plan.whole_pieces].index(end)
    begin = context.plan.whole_pieces[place][0]
    single = np.asarray(seen.losses[""][begin:end], np.float64)
    sizes = plan.sizes(begin, end)
    given = float(seen.whole_losses[""][place])
    full = sizes == plan.batch_size
    for words, value in (
        (
            (
                "the steps of a piece are not weighed by their examples: a smaller last batch"
                " counts as a full one"
            ),
            single.mean(),
        ),
        ("the loss of its last step in place of the mean", single[-1]),
        ("the loss of its first step in place of the mean", single[0]),
        ("the sum over steps in place of the mean", single.sum()),
        ("the sum over examples in place of the mean", (single * sizes).sum()),
        (
            "the smaller last batch is left out of the mean",
            single[full].mean() if full.any() else np.nan,
        ),
        ("the mean of all but its first step", single[1:].mean() if len(single) > 1 else np.nan),
    ):
        if abs(given - value) <= _TOLERANCE * abs(value):
            return words
    return None


def logits_look_like(context: Context, seen: Observation, mark: int) -> str:
    """``predict`` after ``mark`` steps, next to the formulas at the weights that ``params``
    showed.
    """
    words = (
        "inference mode after training does not use the weights and statistics that the runtime"
        " says it has"
    )
    given, x = np.asarray(dict(context.evaluations(seen))[mark], np.float64), context.data.test.x
    last = seen.checkpoints[mark]
    right = context.evaluated(last)
    if given.shape != right.shape:
        return (
            f"predict gives {given.shape} in place of {right.shape}: it loses or repeats examples"
        )
    rows = evaluation_rows(len(x))
    chunk = np.arange(len(rows)) < EVALUATION_BATCH
    off = [relative(given[part], right[part]) > _TOLERANCE for part in (chunk, ~chunk)]
    if off[0] != off[1]:
        return (
            f"predict is wrong in its {'first' if off[0] else 'second'} chunk of {EVALUATION_BATCH}"
            " examples only"
        )
    for other, weights in sorted(seen.checkpoints.items()):
        if weights is not last and relative(given, context.evaluated(weights)) <= _TOLERANCE:
            return f"predict uses the weights after step {other}"
    with np.errstate(all="ignore"):
        for part in (chunk, ~chunk, chunk | ~chunk):
            for step in (0, mark - 1, mark):
                masks = context.masks(step)
                made = reference.forward(
                    context.model, last, x[rows[part]], training=True, masks=masks
                )
                if relative(given[part], made) <= _TOLERANCE:
                    return "predict runs in training mode: the batch's statistics, or dropout"
        if (given >= 0).all() and np.allclose(given.sum(axis=-1), 1):
            return "predict gives probabilities in place of logits"
        if given.dtype == np.float64 and relative(given, right.astype(np.float32)) < _ROUNDED:
            return "predict's numbers are rounded to float32"
        if (
            relative(np.sort(given, axis=None), np.sort(right, axis=None))
            <= _TOLERANCE
            < relative(given, right)
        ):
            return "predict gives the right numbers in another order"
        ratio = float((given * right).sum() / (right**2).sum())
    if np.isfinite(ratio) and relative(given, ratio * right) <= _TOLERANCE:
        return f"predict gives {ratio:.10g} times the right numbers"
    return words


def dropout_looks_like(context: Context, seen: Observation, check: Check) -> str:
    """The framework's own dropout, next to its rate."""
    assert check.layer is not None
    found = context.drawn(seen)[check.layer]
    if found is None:
        return "the layer gave no output of the shape of its input"
    x, y, rate = found
    words, kept = "the framework's own dropout", (y != 0) & (x != 0)
    share = float((y[x != 0] != 0).mean())
    factors = y[kept] / x[kept]
    if not kept.any():
        return f"{words} drops everything"
    if share == 1.0:
        return f"{words} drops nothing"
    if np.ptp(factors) > 1e-5 * abs(float(factors[0])):
        return f"{words} does not scale all that it keeps by the same factor"
    factor = float(np.median(factors))
    told = f"{words} keeps {share:.3g} of the values and scales them by {factor:.6g}"
    scaled = abs(factor * (1 - rate) - 1) < 1e-5  # then it is not the scale that tells
    other = f"{1 - share:.2g}" if scaled else f"{1 - 1 / factor:.4g}"
    return f"{told}, in place of {1 - rate:g} and {1 / (1 - rate):.6g}: a rate of {other}?"
