"""The formulas of ``nncompare.numerics`` for one case, as far as it says what is computed: its
weights, its examples, its masks; and what the backend declares of its layers and optimizers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import reference, updates
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.masks import masks_of_step
from nncompare.numerics.semantics import Semantics
from nncompare.spec.job import Job
from nncompare.spec.model import Model
from nncompare.testing.case import SEED, Case


@dataclass(frozen=True, kw_only=True)
class Formulas:
    """What is right for a case.

    Args:
        case: its examples and weights.
        job: in the native convention with the framework's own values for what the case leaves open.
        semantics: what the backend's layers and optimizers mean; ``ALIGNED`` in the aligned
            convention.
    """

    case: Case
    job: Job
    semantics: Semantics

    @cached_property
    def model(self) -> Model:
        return self.job.model

    @cached_property
    def plan(self) -> BatchPlan:
        return self.case.plan(self.job)

    @cached_property
    def start(self) -> Params:
        """The weights of the case as they stand in a session after they were loaded: what only the
        framework has is zero, so that the function is the canonical one.
        """
        params = dict(self.case.params)
        for name, beside in self._added.items():
            params[name] = np.zeros_like(params[beside])
        return params

    @cached_property
    def trained(self) -> list[str]:
        """Names of the trained parameters, those that only the framework has behind the others."""
        parameters = self.model.parameters.items()
        return [*(name for name, parameter in parameters if parameter.trainable), *self._added]

    @cached_property
    def _added(self) -> dict[str, str]:
        """Trained parameters that only the framework has -> the canonical one beside each."""
        return self.semantics.added_parameters(self.model)

    def x(self, step: int) -> Array:
        """The training examples of a step."""
        return self.case.data.train.x[self.plan.rows(step)]

    def outputs(self, *, training: bool) -> dict[str, Array]:
        """Every node's output for the examples of the first step, at the loaded weights; in
        training mode with the masks of step 0.
        """
        return reference.outputs(
            self.model,
            self.start,
            self.x(0),
            training=training,
            masks=self._masks(0) if training else None,
            semantics=self.semantics,
        )

    def predict(self, params: Params) -> Array:
        """The logits or values of the test part."""
        x = self.case.data.test.x
        return reference.forward(self.model, params, x, semantics=self.semantics)

    def loss(self, params: Params, step: int, masks_of: int) -> float:
        """The minimized loss of a step's examples, penalties included, in training mode.

        Args:
            masks_of: the step whose dropout masks hold.
        """
        experiment = self.job.experiment
        return reference.loss(
            self.model,
            experiment.task,
            params,
            self.x(step),
            self.case.data.train.y[self.plan.rows(step)],
            penalty=experiment.train.penalty,
            masks=self._masks(masks_of),
            semantics=self.semantics,
        )

    def running(self, params: Params, step: int) -> Params:
        """Running statistics after a step from ``params``."""
        x = self.x(step)
        return reference.new_running(self.model, params, x, self._masks(step), self.semantics)

    def update(
        self,
        state: updates.State,
        params: Params,
        gradients: Params,
        step: int,
        squares: Params,
    ) -> tuple[Params, updates.State]:
        """A step of the optimizer, after clipping.

        Args:
            state: what the optimizer remembers of the steps before.
            squares: an embedding's table -> the sums of its squared gradients, token by token;
                empty if the session does not tell them.

        Returns:
            New weights and the new state.
        """
        train = self.job.experiment.train
        return updates.step(
            train.optimizer,
            state,
            params,
            gradients,
            self.plan.learning_rate[step],
            train.clip_norm,
            penalty=train.penalty,
            semantics=self.semantics,
            tables=updates.table_uses(self.model, self.x(step), squares),
        )

    def _masks(self, step: int) -> reference.Masks:
        return masks_of_step(self.model, SEED, step)
