"""What a wrong loss looks like: another reduction, another penalty, other examples, other masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import losses, reference
from nncompare.numerics.batches import BatchPlan
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.suspects.constants import Point, one_constant

_TOLERANCE = {"float64": 1e-9, "float32": 1e-5}


def loss_looks_like(
    context: Context,
    given: float,
    params: Params,
    rows: Array,
    step: int,
    plan: BatchPlan | None = None,
    points: Sequence[Point] = (),
) -> str | None:
    """What explains a wrong loss, in words.

    Args:
        given: the loss that the runtime gave at ``params`` for the training examples ``rows``.
        step: whose masks it should have taken.
        plan: of a training; None at the probe weights.
        points: all losses that are known with their weights.
    """
    right = context.loss(params, rows, step)
    if not np.isfinite(given):
        return "the loss is no number"
    if given == 0.0:
        return "the loss is zero: the step is left out"
    limit = min(_TOLERANCE[context.dtype], 0.1 * abs(given - right) / max(abs(given), 1e-12))
    # what can happen in training alone is the likelier there, once the loss has been right at the
    # probe weights
    suspects = [_constants(context, params, rows, step)]
    if plan is not None:
        suspects.insert(0, _training(context, params, rows, step, plan))
    for part in suspects:
        for label, value in part:
            if abs(given - value) <= limit * max(abs(value), 1e-12):
                return label
    if words := one_constant(context, points):
        return words
    ratio = given / right if right else np.inf
    if not np.isfinite(ratio):
        return None
    told = f"{ratio:.10g}"
    return (
        f"the loss is {told} times the right one"
        if told != "1"
        else f"the loss is off by {ratio - 1:.1e} of itself"
    )


def _constants(
    context: Context, params: Params, rows: Array, step: int
) -> Iterator[tuple[str, float]]:
    train, task = context.job.experiment.train, context.job.experiment.task
    l1, l2 = train.penalty.l1, train.penalty.l2
    extra = losses.penalty(params, context.model, l1, l2)
    bare = context.loss(params, rows, step) - extra
    targets = context.data.train.y[rows].size
    if targets // len(rows) > 1:
        yield (
            "the sum over steps or values in place of their mean",
            bare * targets / len(rows) + extra,
        )
    if task == "regression" and (values := context.data.train.y.shape[-1]) > 1:
        yield "the sum over values in place of their mean", bare * values + extra
    for count, what in ((len(rows), "examples"), (targets, "examples and steps or values")):
        yield f"the sum over {what} in place of their mean", bare * count + extra
        yield f"half of the sum over {what} in place of their mean", bare * count / 2 + extra
    yield (
        "the mean over the batch size that is meant, not over the examples that there are",
        (bare * len(rows) / train.batch_size + extra),
    )
    yield "half of the error", bare / 2 + extra
    yield "twice the error", bare * 2 + extra
    yield "logarithm to base 2", bare / np.log(2) + extra
    yield "penalties are averaged over the batch", bare + extra / len(rows)
    if extra:
        yield from _penalties(context, params, bare, extra)
    yield from _from_probabilities(context, params, rows, step, task, extra)


def _penalties(
    context: Context, params: Params, bare: float, extra: float
) -> Iterator[tuple[str, float]]:
    penalty = context.job.experiment.train.penalty
    l1, l2 = penalty.l1, penalty.l2
    first, second = (
        losses.penalty(params, context.model, *pair) for pair in ((l1, 0.0), (0.0, l2))
    )
    yield "the penalty is missing", bare
    yield "the L2 penalty is halved (l2 / 2 sum w^2)", bare + first + second / 2
    yield "the L2 penalty is doubled", bare + first + 2 * second
    yield "the L1 penalty is missing", bare + second
    yield "the L2 penalty is missing", bare + first
    narrow = (float(np.float32(factor)) for factor in (l1, l2))
    yield (
        "the factors of the penalties rounded to float32",
        bare + losses.penalty(params, context.model, *narrow),
    )
    kernels = [params[name] for name in context.trained if context.model.parameters[name].penalized]
    absolute, square = (
        sum(float((np.abs(w) ** power).mean()) for w in kernels) for power in (1, 2)
    )
    yield "the mean in place of the sum in the penalty", bare + l1 * absolute + l2 * square
    yield "the mean in place of the sum in the L1 penalty", bare + l1 * absolute + second
    yield "the mean in place of the sum in the L2 penalty", bare + first + l2 * square
    norms = l2 * sum(float(np.sqrt((w**2).sum())) for w in kernels)
    yield "the norm in place of its square in the L2 penalty", bare + first + norms
    yield (
        "the factors of L1 and L2 are exchanged",
        bare + losses.penalty(params, context.model, l2, l1),
    )
    yield "the penalty is counted twice", bare + 2 * extra
    for label, more in _penalized_tensors(context, params, l1, l2):
        yield label, bare + extra + more


def _penalized_tensors(
    context: Context, params: Params, l1: float, l2: float
) -> Iterator[tuple[str, float]]:
    """Penalties of other tensors than the right ones, as what they add to the right loss."""
    each = {
        n: l1 * float(np.abs(params[n]).sum()) + l2 * float((params[n] ** 2).sum())
        for n in context.trained
    }
    counted = {name for name in context.trained if context.model.parameters[name].penalized}
    free = [name for name in context.trained if name not in counted]
    yield "biases are penalized, too", sum(each[name] for name in free)
    # of one layer type, one layer, one parameter
    for kind in dict.fromkeys(name.partition("_")[0] for name in free):
        names = [name for name in free if name.partition("_")[0] == kind]
        yield f"biases of {kind} layers are penalized, too", sum(each[name] for name in names)
    for name in context.trained:
        if name in counted:
            yield f"{name} is not penalized", -each[name]
        else:
            yield f"{name} is penalized, too", each[name]
    recurrent = [name for name in free if name.partition("_")[0] in ("rnn", "lstm", "gru")]
    yield "biases of recurrent layers are penalized, too", sum(each[name] for name in recurrent)
    for kind in dict.fromkeys(name.partition("_")[0] for name in counted):
        names = [name for name in counted if name.partition("_")[0] == kind]
        yield f"{kind} layers are not penalized", -sum(each[name] for name in names)
    for word in ("recurrent_kernel", "kernel"):
        names = [name for name in counted if name.rpartition(".")[2] == word]
        yield f"no {word} is penalized", -sum(each[name] for name in names)


def _from_probabilities(
    context: Context, params: Params, rows: Array, step: int, task: Any, extra: float
) -> Iterator[tuple[str, float]]:
    x, y = context.data.train.x[rows], context.data.train.y[rows]
    logits = reference.forward(context.model, params, x, training=True, masks=context.masks(step))
    for by in (1, -1):
        moved = context.data.train.y[(rows + by) % len(context.data.train)]
        yield (
            "the targets of the row beside, of all examples",
            losses.data_loss(task, logits, moved) + extra,
        )
    yield from _other_targets(task, logits, y, extra)
    if x.dtype == np.float64:
        narrow = x.astype(np.float32).astype(np.float64)
        made = reference.forward(
            context.model, params, narrow, training=True, masks=context.masks(step)
        )
        yield "the examples are rounded to float32", losses.data_loss(task, made, y) + extra
    if task == "regression":
        apart = np.abs(logits - y)
        yield "the absolute error in place of the squared", float(apart.mean()) + extra
        yield "the root of the mean squared error", float(np.sqrt((apart**2).mean())) + extra
        huber = np.where(apart < 1, apart**2 / 2, apart - 0.5)
        yield "the Huber (smooth L1) loss", float(huber.mean()) + extra
        yield "the logarithm of cosh", float(np.log(np.cosh(apart)).mean()) + extra
        return
    squashed = losses.sigmoid(logits) if task == "binary" else np.exp(losses.log_softmax(logits))
    yield (
        "logits are squashed before the loss that squashes them again",
        (losses.data_loss(task, squashed, y) + extra),
    )
    if task == "classification":
        for small in (1e-7, 1e-8, 1e-12):
            p = np.clip(logits, small, 1 - small)
            yield "logits are taken for probabilities", losses.data_loss(task, np.log(p), y) + extra
    if task == "binary":
        for small in (1e-7, 1e-8, 1e-12):
            p = np.clip(logits, small, 1 - small)
            value = float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())
            yield "logits are taken for probabilities", value + extra
            value = float(-(y * np.log(p + small) + (1 - y) * np.log(1 - p + small)).mean())
            yield "logits are taken for probabilities", value + extra


def _other_targets(task: Any, logits: Array, y: Array, extra: float) -> Iterator[tuple[str, float]]:
    for by in (1, -1):
        yield (
            "the targets of the neighbouring example",
            losses.data_loss(task, logits, np.roll(y, by, axis=0)) + extra,
        )
    yield (
        "the targets of the batch in reverse order",
        losses.data_loss(task, logits, y[::-1]) + extra,
    )
    if task == "binary":
        yield "the targets are turned round", losses.data_loss(task, logits, 1 - y) + extra
        return
    if task == "regression":
        return
    for kind in range(min(logits.shape[-1], 100)):
        if (y != kind).any():
            yield (
                f"class {kind} is left out",
                losses.data_loss(task, logits[y != kind], y[y != kind]) + extra,
            )
    if y.ndim > 1:
        yield "the last step alone", losses.data_loss(task, logits[:, -1], y[:, -1]) + extra
        yield "the first step alone", losses.data_loss(task, logits[:, 0], y[:, 0]) + extra
        for by in (1, -1):
            yield (
                "the targets of the neighbouring step",
                losses.data_loss(task, logits, np.roll(y, by, axis=1)) + extra,
            )


def _training(
    context: Context, params: Params, rows: Array, step: int, plan: BatchPlan
) -> Iterator[tuple[str, float]]:
    """Mistakes of a loop: the mode, the masks, the examples."""
    loss = partial(context.loss, params)
    with np.errstate(all="ignore"):
        yield (
            "inference mode in the training loop: no dropout, running statistics",
            loss(rows, step, training=False),
        )
        if context.model.drop_rates:
            for other in _nearby(plan, step):
                if len(plan.rows(other)) == len(rows):
                    yield f"the dropout masks of step {other + 1}", loss(rows, other)
        epoch, place = divmod(step, plan.steps_per_epoch)
        begin, size = place * plan.batch_size, plan.batch_size
        for other in range(plan.epochs):
            if other != epoch:
                yield (
                    f"the order of epoch {other + 1} in epoch {epoch + 1}: other examples",
                    loss(plan.order(other)[begin : begin + size], step),
                )
        yield (
            "the order of the file: the examples are not shuffled",
            loss(np.arange(begin, begin + len(rows)), step),
        )
        order = plan.order(epoch)
        for by in (1, -1):
            shifted = np.roll(order, by)[begin : begin + size]
            yield "the order is shifted by one example", loss(shifted, step)
            moved = order[begin + by * place :][: len(rows)]
            if len(moved) == len(rows):
                yield "the batches overlap, or leave out an example between them", loss(moved, step)
        for other in _nearby(plan, step):
            yield f"the examples of step {other + 1}", loss(plan.rows(other), step)
        if len(rows) < size <= plan.examples:
            yield from _smaller_batch(plan, rows, step, loss)
        if len(rows) > 1:
            yield "the last example of the batch is left out", loss(rows[:-1], step)
            yield "the first example of the batch is left out", loss(rows[1:], step)


def _smaller_batch(
    plan: BatchPlan, rows: Array, step: int, loss: Callable[[Array, int], float]
) -> Iterator[tuple[str, float]]:
    """Mistakes with the last batch of an epoch, where the batch size does not divide the number of
    examples.
    """
    epoch, size = step // plan.steps_per_epoch, plan.batch_size
    order = plan.order(epoch)
    filled = np.concatenate([rows, order[: size - len(rows)]])
    yield "the smaller last batch is filled up with examples before it", loss(order[-size:], step)
    yield (
        "the smaller last batch is filled up with the first examples of the epoch",
        loss(filled, step),
    )
    yield (
        "the smaller last batch is filled up with its own examples",
        loss(np.resize(rows, size), step),
    )
    after = plan.order(min(epoch + 1, plan.epochs - 1))[:size]
    yield "the smaller last batch is left out", loss(after, step)


def _nearby(plan: BatchPlan, step: int) -> list[int]:
    """Other steps, the nearest first."""
    steps = [
        other
        for other in range(plan.steps)
        if other != step and abs(other - step) <= 2 * plan.steps_per_epoch
    ]
    return sorted({*steps, 0} - {step}, key=lambda other: abs(other - step))[:12]
