"""A wrong loss that one constant explains: told from several losses, since one alone fits any
constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import losses, reference
from nncompare.studies.verify.context import Context

_AGREE = 1e-6
"""Of the constants that the losses ask for, relative to how far they are from the right one."""


@dataclass(frozen=True)
class Point:
    """One loss that a runtime gave.

    Args:
        given: the loss; ``params``: the weights it was made at; ``rows``: of the training examples;
            ``step``: whose masks it took.
    """

    given: float
    params: Params
    rows: Array
    step: int


def one_constant(context: Context, points: Sequence[Point]) -> str | None:
    """The constant that explains every loss that is wrong, in words; None with fewer than two of
    them.
    """
    wrong = [point for point in points if _is_wrong(context, point)]
    if len(wrong) < 2:
        return None
    found: dict[str, list[tuple[float, float]]] = {}
    for point in wrong:
        for label, start, rest, share in _lines(context, point):
            if abs(share) > 1e-12 * abs(point.given):
                found.setdefault(label, []).append(((point.given - rest) / share, start))
    for label, pairs in found.items():
        values = np.array([value for value, _ in pairs])
        away = np.abs(values - pairs[0][1])
        if (
            len(pairs) == len(wrong)
            and np.isfinite(values).all()
            and np.ptp(values) <= _AGREE * float(away.max())
        ):
            return label.format(float(np.median(values)))
    return None


def _is_wrong(context: Context, point: Point) -> bool:
    right = context.loss(point.params, point.rows, point.step)
    limit = 1e-9 if context.dtype == "float64" else 1e-5
    return bool(np.isfinite(point.given)) and abs(point.given - right) > limit * abs(right)


def _lines(context: Context, point: Point) -> Iterator[tuple[str, float, float, float]]:
    """Words for {0}, the right constant, and the loss as ``rest + constant share``."""
    task, penalty = context.job.experiment.task, context.job.experiment.train.penalty
    x, y = context.data.train.x[point.rows], context.data.train.y[point.rows]
    logits = reference.forward(
        context.model, point.params, x, training=True, masks=context.masks(point.step)
    )
    data = losses.data_loss(task, logits, y)
    first, second = (
        losses.penalty(point.params, context.model, *pair)
        for pair in ((penalty.l1, 0.0), (0.0, penalty.l2))
    )
    yield "the error counts {0:.10g} times, beside the penalty", 1.0, first + second, data
    if first:
        yield "the L1 penalty counts {0:.10g} times", 1.0, data + second, first
    if second:
        yield "the L2 penalty counts {0:.10g} times", 1.0, data + first, second
    if first and second:
        yield "the penalty counts {0:.10g} times", 1.0, data, first + second
    if task == "classification":
        even = -float(losses.log_softmax(logits).mean())
        yield "label smoothing of {0:.6g}", 0.0, data + first + second, even - data
    if task == "binary":
        even = losses.data_loss(task, logits, np.full_like(y, 0.5))
        yield "label smoothing of {0:.6g}", 0.0, data + first + second, even - data
        positive = float((y * np.logaddexp(0.0, -logits)).mean())
        yield (
            "positive examples count {0:.6g} times",
            1.0,
            data - positive + first + second,
            positive,
        )
    yield "a constant {0:.6g} is added", 0.0, data + first + second, 1.0
