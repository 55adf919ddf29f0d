"""What every judge needs: the experiment, the examples of the check, the steps; and the formulas at
these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.data.base import Data
from nncompare.numerics import differences, reference, updates
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.masks import masks_of_step
from nncompare.numerics.parity import ParityPlan, directions, inputs_of, parity_plan, probe_params
from nncompare.numerics.reference import kinks
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.job import Job
from nncompare.spec.model import Model
from nncompare.wire.observation import Observation, evaluation_rows

Loss = Callable[[Params], float]


@dataclass(frozen=True, kw_only=True)
class Slope:
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
        added = {name: np.zeros_like(params[beside]) for name, beside in self.added.items()}
        return {**params, **added}

    @cached_property
    def trained(self) -> list[str]:
        """Canonical names of the trained parameters, in order of the model; then those that only
        the framework has.
        """
        parameters = self.model.parameters.items()
        return [*(name for name, parameter in parameters if parameter.trainable), *self.added]

    @cached_property
    def running(self) -> list[str]:
        return [
            name for name, parameter in self.model.parameters.items() if not parameter.trainable
        ]

    @cached_property
    def directions(self) -> dict[str, Params]:
        """Of the gradient that is judged by differences: see ``numerics.parity.directions``."""
        found = directions(self.model, self.job.seed)
        for name, beside in self.added.items():
            found[name] = {name: found[beside][beside]}
        return found

    def masks(self, step: int) -> Callable[[str, tuple[int, ...]], Array]:
        """What dropout keeps at a step."""
        return masks_of_step(self.model, self.job.seed, step)

    @cached_property
    def x(self) -> Array:
        """The examples whose layers are compared."""
        return self.data.train.x[self.plan.forward_rows]

    def outputs(self, *, training: bool) -> dict[str, Array]:
        """Every node by the formulas, at the probe weights."""
        masks = self.masks(0) if training else None
        return reference.outputs(
            self.model,
            self.probe,
            self.x,
            training=training,
            masks=masks,
            semantics=self.semantics,
        )

    def evaluations(self, observation: Observation) -> list[tuple[int, Array]]:
        """``predict``'s logits and after how many steps they were made; in the midst of training
        and at its end.
        """
        found = [(self.plan.checkpoints[-1], observation.logits[""])]
        # a trajectory that is shorter than an epoch is evaluated at its end alone
        if "" in observation.epoch_logits:
            epoch = self.plan.trajectory.steps_per_epoch
            found.insert(0, (epoch, observation.epoch_logits[""]))
        return found

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
            x = examples if source is None else given.get(source)
            y = given.get(name)
            if x is None or y is None or x.shape != y.shape:
                found[name] = None
            else:
                found[name] = (np.asarray(x, np.float64), np.asarray(y, np.float64), rate)
        return found

    def evaluated(self, params: Params) -> Array:
        """The logits of ``evaluation_rows`` by the formulas, in inference mode."""
        x = self.data.test.x
        logits = reference.forward(self.model, params, x, semantics=self.semantics)
        return logits[evaluation_rows(len(self.data.test))]

    def later_outputs(self, params: Params) -> dict[str, Array]:
        """Every node by the formulas, in inference mode, at the weights after the checked
        updates.
        """
        return reference.outputs(self.model, params, self.x, semantics=self.semantics)

    def loss(self, params: Params, rows: Array, step: int, *, training: bool = True) -> float:
        """The minimized loss of training examples, with the masks of a step; without masks in
        inference mode.
        """
        train, split = self.job.experiment.train, self.data.train
        task, masks = self.job.experiment.task, self.masks(step) if training else None
        x, y = split.x[rows], split.y[rows]
        return reference.loss(
            self.model,
            task,
            params,
            x,
            y,
            penalty=train.penalty,
            training=training,
            masks=masks,
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
        rate: float,
        tables: Mapping[str, updates.TableUse] | None = None,
    ) -> tuple[Params, updates.State]:
        """One step of the experiment's optimizer by its formula, after clipping.

        Args:
            state: what the optimizer remembers; ``updates.State()`` before its first step.
            params: weights; ``gradients``: before clipping.
            rate: learning rate of the step.
            tables: see ``updates.step``.

        Returns:
            New weights and the new state.
        """
        train = self.job.experiment.train
        return updates.step(
            train.optimizer,
            state,
            params,
            gradients,
            rate,
            train.clip_norm,
            penalty=train.penalty,
            semantics=self.semantics,
            tables=tables,
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
        experiment, split, rows = self.job.experiment, self.data.train, self.plan.gradient_rows
        return kinks.smooth_loss(
            self.model,
            experiment.task,
            self.probe,
            split.x[rows],
            split.y[rows],
            forward=reference.FORWARD,
            penalty=experiment.train.penalty,
            masks=self.masks(0),
            change=change,
            semantics=self.semantics,
        )

    @cached_property
    def slopes(self) -> dict[str, Slope]:
        """The reference loss along every direction, at the probe weights."""
        f = self.smooth_loss()
        return {
            label: Slope(value=value, error=error)
            for label, direction in self.directions.items()
            for value, error in [differences.refined_derivative(f, self.probe, direction)]
        }

    def stands(self, gradients: Params) -> bool:
        """Whether a gradient at the probe weights agrees with the slopes, roughly; not asked of
        float32.
        """
        if self.dtype != "float64":
            return True
        for label, slope in self.slopes.items():
            given = sum(
                float((gradients[name] * d).sum()) for name, d in self.directions[label].items()
            )
            if abs(given - slope.value) > 1e-4 * abs(slope.value) + 100 * slope.error + 1e-9:
                return False
        return True

    @cached_property
    def probe_loss(self) -> float:
        return self.loss(self.probe, self.plan.gradient_rows, 0)
