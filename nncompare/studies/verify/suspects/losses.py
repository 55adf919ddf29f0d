"""What a wrong loss, gradient or running statistic looks like."""

from __future__ import annotations

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import losses
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import relative, scale
from nncompare.studies.verify.suspects.fit import fit


def loss_looks_like(context: Context, given: float, params: Params, rows: Array, step: int) -> str | None:
    """What explains a wrong loss: another reduction, another penalty."""
    train = context.job.experiment.train
    l1, l2 = train.penalty.l1, train.penalty.l2
    right = context.loss(params, rows, step)
    extra = losses.penalty(params, context.model, l1, l2)
    bare = right - extra
    targets = context.data.train.y[rows].size
    suspects: list[tuple[str, float]] = [
        ("the sum over examples in place of their mean", bare * len(rows) + extra),
        ("the sum over examples and steps in place of their mean", bare * targets + extra),
        ("half of the squared error", bare / 2 + extra),
        ("logarithm to base 2", bare / np.log(2) + extra),
    ]
    if extra:
        half = losses.penalty(params, context.model, l1, l2 / 2)
        everything = _penalty_of_all(context, params, l1, l2)
        suspects += [
            ("the penalty is missing", bare),
            ("the L2 penalty is halved (l2 / 2 sum w^2)", bare + half),
            ("the penalty is counted twice", bare + 2 * extra),
            ("biases are penalized, too", bare + everything),
        ]
    for label, value in suspects:
        if abs(given - value) <= 1e-9 * max(abs(value), 1e-12):
            return label
    ratio = given / right if right else np.inf
    return f"the loss is {ratio:.6g} times the right one" if np.isfinite(ratio) else None


def _penalty_of_all(context: Context, params: Params, l1: float, l2: float) -> float:
    return sum(
        l1 * float(np.abs(params[name]).sum()) + l2 * float((params[name] ** 2).sum()) for name in context.trained
    )


def gradient_looks_like(context: Context, given: Params, right: Params) -> str | None:
    """What explains a gradient that is off while the loss is right, next to a gradient that is right."""
    names = [name for name in context.trained if name in given and scale(right[name]) > 0]
    ratios = [float((given[n] * right[n]).sum() / (right[n] ** 2).sum()) for n in names]
    if ratios and np.ptp(ratios) <= 1e-6 * abs(ratios[0]) and abs(ratios[0] - 1) > 1e-9:
        return f"the whole gradient is {ratios[0]:.6g} times the right one"
    l2 = context.job.experiment.train.penalty.l2
    for label, factor in (("missing", -2.0), ("halved", -1.0), ("counted twice", 2.0)):
        differences = [relative(given[n] - right[n], factor * l2 * context.probe[n]) for n in names if l2]
        if differences and min(differences) < 1e-6:
            return f"the gradient of the L2 penalty is {label}"
    odd = [n for n in names if relative(given[n], right[n]) > 1e-9]
    for name in odd:
        if given[name].ndim == 2 and relative(given[name], right[name].T) < 1e-9:
            return f"the gradient of {name} is transposed"
        if not given[name].any():
            return f"the gradient of {name} is zero: it is not trained"
    return None


def running_looks_like(
    before: Array, after: Array, right: Array, momentum: float, variance: bool, n: int
) -> str | None:
    """What explains a running statistic.

    Args:
        before, after: what the runtime had and has.
        right: what it should have: ``(1 - momentum) before + momentum batch``.
        momentum: weight of the newest batch.
        variance: True for the running variance, of ``n`` values a channel.
    """
    batch = (right - (1 - momentum) * before) / momentum
    biased = batch * (n - 1) / n
    suspects = [("it is stale: the batch does not move it", before)]
    if variance:
        suspects.append(("the biased batch variance", (1 - momentum) * before + momentum * biased))
        suspects.append(("the square root of the variance", (1 - momentum) * before + momentum * np.sqrt(batch)))
    suspects.append(("momentum is turned round: it weighs the old value", momentum * before + (1 - momentum) * batch))
    for label, value in suspects:
        if relative(after, value) <= 1e-9:
            return label
    found = fit(lambda m: (1 - m) * before + m * batch, after, momentum)
    if found is not None and relative(after, (1 - found) * before + found * batch) <= 1e-9:
        return f"momentum {found:.6g} in place of {momentum:g} (weight of the newest batch)"
    if variance:
        found = fit(lambda m: (1 - m) * before + m * biased, after, momentum)
        if found is not None and relative(after, (1 - found) * before + found * biased) <= 1e-9:
            return f"the biased batch variance and momentum {found:.6g} in place of {momentum:g}"
    return None
