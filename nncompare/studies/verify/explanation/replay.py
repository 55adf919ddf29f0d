"""The checked updates of a parameter once more by the formula, with room to change one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import updates
from nncompare.spec.training import AnyOptimizer
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The checked updates of one parameter.

    Args:
        context, observation: of the runtime.
        name: of the parameter.
    """

    context: Context
    observation: Observation
    name: str

    @property
    def steps(self) -> int:
        return self.context.plan.update_steps

    @property
    def optimizer(self) -> AnyOptimizer:
        return self.context.job.experiment.train.optimizer

    @cached_property
    def before(self) -> Array:
        """``(steps, …)``: the weights before every update."""
        return np.stack([self._weights(step) for step in range(self.steps)])

    @cached_property
    def after(self) -> Array:
        """``(steps, …)``: the weights after every update, as the runtime has them."""
        return np.stack([self._weights(step + 1) for step in range(self.steps)])

    def _weights(self, step: int) -> Array:
        return np.asarray(self.observation.update_weights[step][self.name], np.float64)

    @cached_property
    def sizes(self) -> Array:
        """``(steps, 1, …)``: the largest entry of every update. Updates of different learning
        rates then count the same.
        """
        moved = np.abs(self.after - self.before).reshape(self.steps, -1).max(axis=1, initial=0.0)
        shape = (self.steps,) + (1,) * (self.before.ndim - 1)
        return np.asarray(np.where(moved == 0, 1.0, moved).reshape(shape))

    @cached_property
    def rates(self) -> list[float]:
        """The learning rate of every update."""
        return [float(rate) for rate in self.context.plan.updates.learning_rate[: self.steps]]

    @cached_property
    def gradients(self) -> list[Array]:
        """Of this parameter in every update, clipped as the rule is meant to see it."""
        norm = self.context.job.experiment.train.clip_norm
        found = []
        for step in range(self.steps):
            whole: Params = self.observation.update_gradients[step]
            clipped = updates.clip(whole, norm, self.context.semantics, self._tables(step))
            found.append(np.asarray(clipped[self.name], np.float64))
        return found

    def _tables(self, step: int) -> dict[str, updates.TableUse]:
        """How the batch of an update uses the tables of embeddings."""
        rows = self.context.plan.updates.rows(step)
        return self.context.tables(rows, self.observation.update_squares.get(step))

    def run(
        self,
        *,
        optimizer: Any = None,
        rates: list[float] | None = None,
        gradient: Callable[[Array, Array], Array] = lambda _, g: g,
        weights: Callable[[Array, float], Array] = lambda w, _: w,
        restart: int | None = None,
    ) -> Array:
        """``(steps, …)``: the new weights, with one thing changed.

        Args:
            optimizer: another description of it.
            rates: other learning rates.
            gradient: of (weights, clipped gradient): the gradient that the rule sees.
            weights: of (weights, learning rate): the weights that the rule sees.
            restart: index of the step before which the optimizer forgets everything.
        """
        name = self.name
        state = updates.State()
        made = []
        for step in range(self.steps):
            if step == restart:
                state = updates.State()
            rate = (rates or self.rates)[step]
            before = self.before[step]
            new, state = updates.step(
                optimizer or self.optimizer,
                state,
                {name: weights(before, rate)},
                {name: gradient(before, self.gradients[step])},
                rate,
                penalty=self.context.job.experiment.train.penalty,
                semantics=self.context.semantics,
                tables=self._tables(step),
            )
            made.append(new[name])
        return np.stack(made)
