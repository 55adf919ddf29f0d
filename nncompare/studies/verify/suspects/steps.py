"""The checked updates of one parameter, and mistakes that differ from step to step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nncompare.backends.base import Array
from nncompare.numerics import updates
from nncompare.studies.verify.checks.distance import absolute, scale
from nncompare.studies.verify.suspects.fit import fit
from nncompare.studies.verify.suspects.rules import Rule, standard

TOLERANCE = 1e-9
"""Of an explained update, relative to its size: a suspect is named if it leaves nothing worth
naming.
"""


@dataclass(frozen=True)
class Updates:
    """The checked updates of one parameter.

    Args:
        name: canonical name.
        weights: before each update and after the last; ``gradients``: before clipping, ``clipped``:
            as the rule is meant to see them; ``rates``: of every update.
    """

    name: str
    weights: list[Array]
    gradients: list[Array]
    clipped: list[Array]
    rates: list[float]

    def run(self, rule: Rule, factor: float = 1.0) -> Array:
        """Every weight after each of the updates by a rule, one after the other; ``factor``: on the
        learning rates.
        """
        steps = zip(self.weights, self.clipped, self.rates, strict=False)
        return np.concatenate([rule(w, g, rate * factor).ravel() for w, g, rate in steps])

    def residual(self, rule: Rule, gradients: list[Array] | None = None) -> float:
        """How far the rule is from these updates, relative to their size; the worst of them."""
        worst = 0.0
        for step, gradient in enumerate(gradients or self.clipped):
            made = rule(self.weights[step], gradient, self.rates[step])
            moved = scale(self.weights[step + 1] - self.weights[step])
            apart = absolute(self.weights[step + 1], made)
            worst = max(worst, 0.0 if apart <= 1e-15 else apart / moved)
        return worst


def gradients_by_step(found: Updates, optimizer: Any, limit: float) -> str | None:
    """Gradients that count more or less than they should."""
    factors = by_step(found, optimizer, limit, lambda g, rate, c: (c * g, rate))
    odd = [
        f"{factor:.10g} in update {k + 1}"
        for k, factor in enumerate(factors or ())
        if abs(factor - 1) > 1e-9
    ]
    return f"gradient times {', '.join(odd)}" if odd else None


def by_step(
    found: Updates,
    optimizer: Any,
    limit: float,
    changed: Callable[[Array, float, float], tuple[Array, float]],
) -> list[float] | None:
    """The constant of every update that explains it, given those before; 1 is right. None: one is
    not explained.

    Args:
        changed: of gradient, learning rate and constant: the gradient and the rate that the
            optimizer took.
    """
    state, values = updates.State(), list[float]()
    for w, new, g, rate in zip(
        found.weights, found.weights[1:], found.clipped, found.rates, strict=False
    ):

        def step(
            c: float, w: Array = w, g: Array = g, rate: float = rate, state: updates.State = state
        ) -> Any:
            gradient, used = changed(g, rate, c)
            return updates.step(optimizer, state, {"w": w}, {"w": gradient}, used)

        value = fit(lambda c, step=step: step(c)[0]["w"], new, 1.0)  # type: ignore[misc]
        if value is None or absolute(new, step(value)[0]["w"]) > max(limit * scale(new - w), 2e-15):
            return None
        values.append(value)
        state = step(value)[1]
    return values


def forgotten(found: Updates, optimizer: Any, limit: float) -> str | None:
    """A state that starts anew in the midst of training."""
    for begin in range(1, len(found.rates)):
        before, after = standard(optimizer), standard(optimizer)
        for step, gradient in enumerate(found.clipped):
            rule = after if step >= begin else before
            made = rule(found.weights[step], gradient, found.rates[step])
            if absolute(found.weights[step + 1], made) > limit * scale(
                found.weights[step + 1] - found.weights[step]
            ):
                break
        else:
            return f"the optimizer's state starts anew in update {begin + 1}"
    return None
