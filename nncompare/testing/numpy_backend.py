"""A backend in NumPy, slow and plain: the smallest complete example of the two protocols, and the
one that tests the suite itself. Its gradients are central differences of its own loss.

Every step of its mathematics is a small method, so that a subclass can get one of them wrong: the
suite must catch it (``tests/conformance/broken.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nncompare.backends.base import EVALUATION_BATCH, Array, Device, Gate, Params
from nncompare.data.base import Data
from nncompare.numerics import differences, losses, updates
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.masks import keep_mask
from nncompare.numerics.reference import FORWARD, Forward, Run
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.job import Job


class NumpySession:
    """See ``backends.base.Session``.

    Attributes:
        semantics: what its layers and optimizers mean; a subclass may mean something else.
    """

    semantics: Semantics = ALIGNED

    def __init__(self, job: Job, data: Data):
        self.job = job
        self.data = data
        self.model = job.model
        self.device = Device(kind="cpu", id="cpu", name="NumPy")
        self.rates = self.model.drop_rates
        self.trainable = [
            name for name, parameter in self.model.parameters.items() if parameter.trainable
        ]
        self.added = self.semantics.added_parameters(self.model)
        # natively a session has weights of its own, of which a training may be given a few
        self.weights: Params = {}
        if job.native:
            self.load(initial_params(job.model, job.seed))
        self.state = updates.State()
        self.tables: dict[str, updates.TableUse] = {}

    def load(self, params: Params) -> None:
        self.weights |= {name: array.copy() for name, array in params.items()}
        for name, beside in self.added.items():
            # canonical weights give the canonical function
            if beside in params and name not in params:
                self.weights[name] = np.zeros_like(params[beside])
        self.state = updates.State()

    def params(self) -> Params:
        return {name: array.copy() for name, array in self.weights.items()}

    def predict(self, x: Array) -> Array:
        found = []
        for begin in range(0, len(x), EVALUATION_BATCH):
            run = self.pass_through(self.weights, x[begin : begin + EVALUATION_BATCH])
            found.append(run.outputs[self.last])
        return np.concatenate(found)

    def outputs(self, x: Array, *, training: bool = False) -> dict[str, Array]:
        return self.pass_through(self.weights, x, training=training).outputs

    def loss_and_gradients(self, rows: Array, step: int = 0) -> tuple[float, Params]:
        return self.minimized(self.weights, rows, step), self.slope(rows, step)

    def train(self, plan: BatchPlan, gate: Gate) -> None:
        while (piece := gate.next()) is not None:
            found = [self.train_step(plan, step) for step in range(piece.begin, piece.end)]
            gate.done(self.piece_loss(plan, piece.begin, piece.end, np.asarray(found)))

    def synchronize(self) -> None: ...

    def peak_bytes(self) -> int | None:
        return None

    def settings(self) -> dict[str, str]:
        return {}

    def close(self) -> None: ...

    @property
    def last(self) -> str:
        return self.model.nodes[-1].name

    def train_step(self, plan: BatchPlan, step: int) -> float:
        rows = self.rows(plan, step)
        loss = self.minimized(self.weights, rows, step)
        self.tables = updates.table_uses(self.model, self.data.train.x[rows])
        updated = self.update(self.slope(rows, step), plan.learning_rate[step])
        # the batch's statistics are those of the weights before the update
        self.weights = {**updated, **self.running(rows, step)}
        return loss

    def formulas(self) -> Mapping[str, Forward]:
        return FORWARD

    def pass_through(
        self, params: Params, x: Array, *, training: bool = False, step: int = 0
    ) -> Run:
        def keep(node: str, shape: tuple[int, ...]) -> Array:
            return self.mask(node, step, shape)

        run = Run(
            params=params,
            forward=self.formulas(),
            training=training,
            masks=keep,
            semantics=self.semantics,
        )
        run.chain(self.model.nodes, x)
        return run

    def mask(self, node: str, step: int, shape: tuple[int, ...]) -> Array:
        return keep_mask(self.job.seed, node, step, shape, self.rates[node])

    def rows(self, plan: BatchPlan, step: int) -> Array:
        return plan.rows(step)

    def minimized(self, params: Params, rows: Array, step: int) -> float:
        run = self.pass_through(params, self.data.train.x[rows], training=True, step=step)
        logits = run.logits(self.model, self.job.experiment.task, self.data.train.x[rows])
        return self.data_loss(logits, self.data.train.y[rows]) + self.penalty(params)

    def data_loss(self, outputs: Array, targets: Array) -> float:
        return losses.data_loss(self.job.experiment.task, outputs, targets)

    def penalty(self, params: Params) -> float:
        asked = self.job.experiment.train.penalty
        return losses.penalty(params, self.model, asked.l1, asked.l2, semantics=self.semantics)

    def slope(self, rows: Array, step: int) -> Params:
        return differences.gradient(
            lambda p: self.minimized(p, rows, step),
            self.weights,
            [*self.trainable, *self.added],
        )

    def update(self, gradients: Params, rate: float) -> Params:
        train = self.job.experiment.train
        updated, self.state = updates.step(
            train.optimizer,
            self.state,
            self.weights,
            gradients,
            float(rate),
            train.clip_norm,
            penalty=train.penalty,
            semantics=self.semantics,
            tables=self.tables,
        )
        return updated

    def running(self, rows: Array, step: int) -> Params:
        run = self.pass_through(self.weights, self.data.train.x[rows], training=True, step=step)
        found: Params = {}
        for node in self.model.walk():
            momentum = node.layer.running_momentum
            if momentum is None:
                continue
            for kind, batch in run.statistics[node.name].items():
                name = f"{node.name}.{kind}"
                found[name] = self.blend(self.weights[name], batch, momentum, kind, len(rows))
        return found

    def blend(self, old: Array, batch: Array, momentum: float, kind: str, examples: int) -> Array:
        return (1 - momentum) * old + momentum * batch

    def piece_loss(self, plan: BatchPlan, begin: int, end: int, found: Array) -> float:
        return plan.mean_loss(begin, end, found)


class NumpyBackend:
    """See ``backends.base.Backend``.

    Args:
        session: the class that ``open`` makes.
        native: what its layers and optimizers mean in the native convention.
    """

    def __init__(self, session: type[NumpySession] = NumpySession, native: Semantics = ALIGNED):
        self.session = session
        self.native = native

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__}

    def devices(self) -> list[Device]:
        return [Device(kind="cpu", id="cpu", name="NumPy")]

    def why_not(self, job: Job) -> str | None:
        return None

    def resolve(self, job: Job) -> Job:
        # what a file leaves open has the same default here as in the aligned convention
        return job

    def semantics(self, job: Job) -> Semantics:
        return self.native if job.native else ALIGNED

    def open(self, job: Job, data: Data) -> NumpySession:
        return self.session(job, data)


BACKEND = NumpyBackend()
