"""What a wrong update looks like: known mistakes of optimizers, tried on the runtime's own
gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import updates
from nncompare.studies.verify.checks.distance import absolute, scale
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.suspects.fit import fit
from nncompare.studies.verify.suspects.rules import Rule, adam, rules, shares, standard
from nncompare.studies.verify.suspects.steps import (
    TOLERANCE,
    Updates,
    by_step,
    forgotten,
    gradients_by_step,
)
from nncompare.wire.observation import Observation

_NARROW = 1e-6
"""Largest relative error of a few roundings to float32."""
_SHARES = np.outer(np.logspace(-9, 0, 28), (1.0, -1.0)).ravel()
"""Of the weights, from which ``_shared`` begins to look."""


def update_looks_like(
    context: Context, seen: Observation, name: str, tolerance: float = TOLERANCE
) -> str | None:
    """What explains the updates of a parameter within ``tolerance`` (relative to their size), in
    words.

    Of several that do, the one that leaves least; and none that leaves more than a tenth of what
    there is to explain.
    """
    train = context.job.experiment.train
    count = context.plan.update_steps
    gradients = [seen.update_gradients[step] for step in range(count)]
    clipped = [updates.clip(gradient, train.clip_norm) for gradient in gradients]

    def updates_of(name: str) -> Updates:
        return Updates(
            name=name,
            weights=[seen.update_weights[step][name] for step in range(count + 1)],
            gradients=[gradient[name] for gradient in gradients],
            clipped=[gradient[name] for gradient in clipped],
            rates=[float(rate) for rate in context.plan.updates.learning_rate[:count]],
        )

    found = updates_of(name)
    with np.errstate(all="ignore"):
        limit = min(tolerance, 0.1 * found.residual(standard(train.optimizer)))
        left = {label: found.residual(rule) for label, rule in rules(train.optimizer)}
        clippings = dict(_clippings(gradients, train.clip_norm))

        def clipped_as(label: str, found: Updates) -> float:
            changed = [gradient[found.name] for gradient in clippings[label]]
            return found.residual(standard(train.optimizer), changed)

        left |= {label: clipped_as(label, found) for label in clippings}
        known = {label: size for label, size in left.items() if size <= limit}
        if known and set(known) <= set(clippings):
            # this tensor may be too small to tell them apart: then the others do
            others = [updates_of(other) for other in context.trained]
            known = {label: max(clipped_as(label, other) for other in others) for label in known}
            if min(known.values()) > tolerance:
                return f"{next(iter(known))}: this one, not all"
        if known:
            return min(known, key=lambda label: known[label])
        return (
            _fitted(found, train.optimizer, limit)
            or _shared(found, train.optimizer, limit)
            or _step_by_step(found, train.optimizer, limit)
            or gradients_by_step(found, train.optimizer, limit)
            or forgotten(found, train.optimizer, limit)
            or _of_tokens(context, found, train.optimizer)
        )


def _fitted(found: Updates, optimizer: Any, limit: float) -> str | None:
    """One constant of the optimizer, or a factor on the learning rate, that explains everything."""
    given = np.concatenate([array.ravel() for array in found.weights[1:]])

    def run(changed: Any, factor: float = 1.0) -> Array:
        return found.run(standard(changed), factor)

    candidates: list[tuple[str, float, Callable[[float], Array]]] = [
        ("learning rate times", 1.0, lambda factor: run(optimizer, factor))
    ]
    candidates.append(
        ("the weights after the step times", 1.0, lambda factor: factor * run(optimizer))
    )
    for field in ("epsilon", "beta1", "beta2", "momentum", "rho", "weight_decay"):
        if hasattr(optimizer, field):
            start = float(getattr(optimizer, field))
            candidates.append((field, start, partial(_with, run, optimizer, field)))
    if hasattr(optimizer, "beta1"):
        first, second = optimizer.beta1, optimizer.beta2
        alone = "of the moment, though not of its bias correction,"
        candidates += [
            (
                f"beta1 {alone}",
                first,
                lambda beta: found.run(adam(optimizer, betas=(beta, second))),
            ),
            (
                f"beta2 {alone}",
                second,
                lambda beta: found.run(adam(optimizer, betas=(first, beta))),
            ),
        ]
    moved = scale(given - np.concatenate([array.ravel() for array in found.weights[:-1]]))
    for label, start, made in candidates:
        value = fit(made, given, start)
        if (
            value is not None
            and value != start
            and absolute(given, made(value)) <= max(limit * moved, 2e-15)
        ):
            if label == "learning rate times":
                rates = np.array(found.rates)
                narrow = np.allclose(value * rates, rates.astype(np.float32), rtol=1e-11, atol=0)
                return (
                    "learning rate rounded to float32"
                    if narrow
                    else f"learning rate times {value:.10g}"
                )
            if start == 1.0 and label.startswith("the weights"):
                return f"{label} {value:.10g}"
            rounded = "; the right value rounded to float32" if np.float32(start) == value else ""
            if label == "epsilon":
                # the rule cannot tell these apart
                rounded = f" (or every gradient {start / value:.6g} times)"
            return f"{label} {value:.10g} in place of {start:g}{rounded}"
    return None


def _shared(found: Updates, optimizer: Any, limit: float) -> str | None:
    """A share of the weights where none belongs; looked for over many orders of magnitude, since it
    bends the rule.
    """
    given = np.concatenate([array.ravel() for array in found.weights[1:]])
    moved = scale(given - np.concatenate([array.ravel() for array in found.weights[:-1]]))
    for label, rule in shares(optimizer):

        def made(share: float, rule: Callable[[float], Rule] = rule) -> Array:
            return found.run(rule(share))

        start = min(_SHARES, key=lambda share: absolute(given, made(share)))
        share = fit(made, given, float(start))
        if share is not None and absolute(given, made(share)) <= max(limit * moved, 2e-15):
            return label.format(share)
    return None


def _step_by_step(found: Updates, optimizer: Any, limit: float) -> str | None:
    """Learning rates that are wrong, each in its own way."""
    factors = by_step(found, optimizer, limit, lambda g, rate, c: (g, rate * c))
    if factors is None:
        return None
    used, asked = np.array(factors) * found.rates, np.array(found.rates)
    if np.allclose(used, asked.astype(np.float32), rtol=1e-11, atol=0):
        return "learning rate rounded to float32"
    if np.allclose(used[1:], asked[:-1], rtol=1e-6, atol=0):
        return "the learning rate of the step before"
    if np.allclose(used[:-1], asked[1:], rtol=1e-6, atol=0):
        return "the learning rate of the step after"
    if np.allclose(used, asked[0], rtol=1e-6, atol=0):
        return "the learning rate of the first step in every step"
    odd = [factor for factor in factors if abs(factor - 1) > 1e-9]
    if np.abs(np.array(factors) - 1).max() < _NARROW and len(odd) > 1 and np.ptp(odd) > 1e-9:
        return "what the learning rate is multiplied by is computed in float32, or rounded to it"
    told = ", ".join(
        f"{factor:.10g} in update {k + 1}"
        for k, factor in enumerate(factors)
        if abs(factor - 1) > 1e-9
    )
    return f"learning rate times {told}" if told else None


def _of_tokens(context: Context, found: Updates, optimizer: Any) -> str | None:
    """Which rows of an embedding go wrong first: those of tokens that the batch repeats, or
    lacks.
    """
    if not found.name.endswith(".table") or not context.model.input.is_tokens:
        return None
    rule = standard(optimizer)
    for step, gradient in enumerate(found.clipped):
        made = rule(found.weights[step], gradient, found.rates[step])
        moved = scale(found.weights[step + 1] - found.weights[step])
        wrong = np.abs(found.weights[step + 1] - made).max(axis=-1) > 1e-9 * moved
        if not wrong.any():
            continue
        tokens = context.data.train.x[context.plan.updates.rows(step)]
        counts = np.bincount(tokens.ravel(), minlength=len(made))
        if len(counts) != len(wrong):
            return None
        if not wrong[counts <= 1].any():
            return (
                "only tokens that occur more than once in the batch: sparse gradients are not"
                " summed before their use"
            )
        if not wrong[counts > 0].any():
            return (
                "only tokens that do not occur in the batch: their rows are left as they are, or"
                " should be"
            )
        return None
    return None


def _with(run: Callable[[Any], Array], optimizer: Any, field: str, value: float) -> Array:
    return run(optimizer.model_copy(update={field: value}))


def _clippings(gradients: list[Params], norm: float | None) -> Iterator[tuple[str, list[Params]]]:
    if norm is None:
        return
    yield "the gradient is not clipped", gradients
    yield (
        "the norm is clipped per tensor, not of all together",
        [
            {name: updates.clip({name: g}, norm)[name] for name, g in gradient.items()}
            for gradient in gradients
        ],
    )
    totals = [
        float(np.sqrt(sum(float((g**2).sum()) for g in gradient.values())))
        for gradient in gradients
    ]
    norms = [
        np.array([np.sqrt(float((g**2).sum())) for g in gradient.values()])
        for gradient in gradients
    ]
    for label, factors in (
        (
            "the largest norm of a tensor is compared, not that of all together",
            [min(1.0, norm / n.max()) for n in norms],
        ),
        ("the sum of the tensors' norms is compared", [min(1.0, norm / n.sum()) for n in norms]),
        ("the square of the norm is compared", [min(1.0, norm / total**2) for total in totals]),
        (
            "1e-6 is added to the norm in clipping",
            [min(1.0, norm / (total + 1e-6)) for total in totals],
        ),
        (
            "the gradient is scaled to the norm even where it is smaller",
            [norm / total for total in totals],
        ),
    ):
        yield (
            label,
            [
                {n: g * f for n, g in gradient.items()}
                for gradient, f in zip(gradients, factors, strict=True)
            ],
        )
    yield (
        "the gradient's entries are clipped, not its norm",
        [{name: np.clip(g, -norm, norm) for name, g in gradient.items()} for gradient in gradients],
    )
