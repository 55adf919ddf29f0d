"""What every judge needs: the experiment, the examples of the check, the steps; and the formulas at
these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.data.base import Data
from nncompare.numerics import differences, reference, updates
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.masks import masks_of_step
from nncompare.numerics.parity import ParityPlan, directions, inputs_of, parity_plan, probe_params
from nncompare.numerics.reference import kinks
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.job import Job
from nncompare.spec.model import Model, Node
from nncompare.wire.observation import Observation, evaluation_rows

Loss = Callable[[Params], float]


class Slope(NamedTuple):
    """A directional derivative of the reference loss, and how far off the differences themselves
    may be.
    """

    value: float
    error: float


@dataclass(frozen=True)
class Context:
    """One check in one dtype.

    Args:
        job: of any of its runtimes; seed, model and training are the same for all.
        data: the examples of the check in the job's dtype.
        steps: of the trajectory.
        semantics: what layers and optimizers mean: in the native convention, what the runtime's
            backend declares.
    """

    job: Job
    data: Data
    steps: int
    semantics: Semantics = ALIGNED

    @cached_property
    def model(self) -> Model:
        return self.job.model

    def node(self, name: str) -> Node:
        """The layer of this name."""
        return next(node for node in self.model.walk() if node.name == name)

    @cached_property
    def plan(self) -> ParityPlan:
        return parity_plan(
            self.job.experiment.train, len(self.data.train), self.job.seed, self.steps
        )

    @property
    def dtype(self) -> str:
        return self.job.dtype.name

    @cached_property
    def probe(self) -> Params:
        """Weights at which layers and gradients are judged, the same in every runtime."""
        return self._complete(probe_params(self.model, self.job.seed))

    @cached_property
    def initial(self) -> Params:
        """Where the trajectory starts."""
        return self._complete(initial_params(self.model, self.job.seed))

    @cached_property
    def added(self) -> dict[str, str]:
        """Trained parameters that the canonical layers lack -> the one beside each."""
        return self.semantics.added_parameters(self.model)

    def _complete(self, params: Params) -> Params:
        """Canonical weights as they stand in a session after they were loaded: what only the
        framework has is zero.
        """
        # a second bias that starts at zero changes nothing until it is trained
        added = {name: np.zeros_like(params[beside]) for name, beside in self.added.items()}
        return {**params, **added}

    @cached_property
    def trained(self) -> list[str]:
        """Canonical names of the trained parameters, in order of the model; then those that only
        the framework has.
        """
        parameters = self.model.parameters.items()
        return [*(name for name, item in parameters if item.trainable), *self.added]

    @cached_property
    def running(self) -> list[str]:
        return [name for name, item in self.model.parameters.items() if not item.trainable]

    @cached_property
    def directions(self) -> dict[str, Params]:
        """Of the gradient that is judged by differences: see ``numerics.parity.directions``."""
        found = directions(self.model, self.job.seed)
        for name, beside in self.added.items():
            found[name] = {name: found[beside][beside]}
        return found

    def masks(self, step: int) -> reference.Masks:
        """What dropout keeps at a step."""
        return masks_of_step(self.model, self.job.seed, step)

    @cached_property
    def x(self) -> Array:
        """The examples whose layers are compared."""
        return self.data.train.x[self.plan.forward_rows]

    @property
    def last_node(self) -> str:
        """The node that gives the model's output."""
        return self.model.nodes[-1].name

    def run(
        self,
        params: Params,
        x: Array,
        step: int | None = None,
        formulas: Mapping[str, reference.Forward] = reference.FORWARD,
    ) -> reference.Run:
        """One pass of the formulas.

        Args:
            params: weights.
            x: examples, ``(N, …)``.
            step: in training mode, with the dropout masks of this step; None: in inference mode.
            formulas: layer type -> formula.
        """
        run = reference.Run(
            params=params,
            forward=formulas,
            training=step is not None,
            masks=None if step is None else self.masks(step),
            semantics=self.semantics,
        )
        run.chain(self.model.nodes, x)
        return run

    def evaluations(self, observation: Observation) -> list[tuple[int, Array]]:
        """``predict``'s logits and after how many steps they were made; in the midst of training
        and at its end.
        """
        at_end = (self.plan.checkpoints[-1], observation.logits[""])
        # a trajectory that is shorter than an epoch is evaluated at its end alone
        if "" not in observation.epoch_logits:
            return [at_end]
        return [(self.plan.trajectory.steps_per_epoch, observation.epoch_logits[""]), at_end]

    def drawn(self, observation: Observation) -> dict[str, tuple[Array, Array, float] | None]:
        """Dropout layer -> input and output of the framework's own dropout in training mode,
        float64, and the rate; None where the runtime did not give them. Empty if it was not looked
        at.
        """
        found: dict[str, tuple[Array, Array, float] | None] = {}
        given = observation.drawn
        if not given:
            return found
        before = inputs_of(self.model.nodes)
        examples = self.data.train.x[self.plan.dropout_rows]
        for name, rate in self.model.drop_rates.items():
            source = before[name]
            # a layer without one before it takes the model's input
            x = examples if source is None else given.get(source)
            y = given.get(name)
            found[name] = None
            if x is not None and y is not None and x.shape == y.shape:
                found[name] = x.astype(np.float64), y.astype(np.float64), rate
        return found

    def evaluated(self, params: Params) -> Array:
        """The logits of ``evaluation_rows`` by the formulas, in inference mode."""
        test = self.data.test
        logits = self.run(params, test.x).outputs[self.last_node]
        return logits[evaluation_rows(len(test))]

    def loss(self, params: Params, rows: Array, step: int, *, training: bool = True) -> float:
        """The minimized loss of training examples, with the masks of a step; without masks in
        inference mode.
        """
        experiment = self.job.experiment
        split = self.data.train
        return reference.loss(
            self.model,
            experiment.task,
            params,
            split.x[rows],
            split.y[rows],
            penalty=experiment.train.penalty,
            training=training,
            masks=self.masks(step) if training else None,
            semantics=self.semantics,
        )

    def tables(self, rows: Array, squares: Params | None = None) -> dict[str, updates.TableUse]:
        """How training examples use the table of every embedding.

        Args:
            squares: table -> sums of squared gradients, where the runtime gave them.
        """
        return updates.table_uses(self.model, self.data.train.x[rows], squares)

    def update(
        self,
        state: updates.State,
        params: Params,
        gradients: Params,
        plan: BatchPlan,
        step: int,
        squares: Params | None,
    ) -> tuple[Params, updates.State]:
        """One step of the experiment's optimizer by its formula, after clipping.

        Args:
            state: what the optimizer remembers; ``updates.State()`` before its first step.
            params: weights; ``gradients``: before clipping.
            plan, step: of its batch and learning rate.
            squares: see ``tables``.

        Returns:
            New weights and the new state.
        """
        train = self.job.experiment.train
        return updates.step(
            train.optimizer,
            state,
            params,
            gradients,
            float(plan.learning_rate[step]),
            train.clip_norm,
            penalty=train.penalty,
            semantics=self.semantics,
            tables=self.tables(plan.rows(step), squares),
        )

    def new_running(self, params: Params, step: int) -> Params:
        """Running statistics after the checked update ``step`` from ``params``."""
        x = self.data.train.x[self.plan.updates.rows(step)]
        return reference.new_running(self.model, params, x, self.masks(step), self.semantics)

    def smooth_loss(
        self, change: Callable[[kinks.Table], kinks.Table] = lambda table: table
    ) -> Loss:
        """The loss of the gradient's examples, with the kinks held as they are at the probe
        weights; see ``kinks``.
        """
        # the smooth loss has the same gradient as the loss, and differences of it mean something
        experiment = self.job.experiment
        split = self.data.train
        rows = self.plan.gradient_rows
        return kinks.smooth_loss(
            self.model,
            experiment.task,
            self.probe,
            split.x[rows],
            split.y[rows],
            forward=change(reference.FORWARD),
            penalty=experiment.train.penalty,
            masks=self.masks(0),
            semantics=self.semantics,
        )

    @cached_property
    def slopes(self) -> dict[str, Slope]:
        """The reference loss along every direction, at the probe weights."""
        loss = self.smooth_loss()
        return {
            label: Slope(*differences.refined_derivative(loss, self.probe, direction))
            for label, direction in self.directions.items()
        }

    def along(self, gradient: Params, label: str) -> float:
        """The slope of a gradient along a direction; infinite where a part of it is not given."""
        total = 0.0
        for name, direction in self.directions[label].items():
            if name not in gradient:
                return np.inf
            total += float((gradient[name] * direction).sum())
        return total

    @cached_property
    def probe_loss(self) -> float:
        return self.loss(self.probe, self.plan.gradient_rows, 0)
