"""One model in NumPy: backpropagation through a chain of layers."""

from __future__ import annotations

import numpy as np

from nncompare.backends.base import EVALUATION_BATCH, Device, Gate
from nncompare.data.base import Data
from nncompare.numerics import losses
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.semantics import ALIGNED, describe
from nncompare.spec.data import Task
from nncompare.spec.job import Job
from nncompare.spec.model import Node
from nncompare_numpy.layers import LOWERINGS, Array, Params
from nncompare_numpy.optimizers import make_optimizer

CPU = Device(kind="cpu", id="cpu", name="NumPy")


class NumpySession:
    """See ``nncompare.backends.base.Session``."""

    def __init__(self, job: Job, data: Data):
        self.device = CPU
        self._job = job
        self._dtype = job.dtype
        self._task = job.experiment.task
        self._rule = job.experiment.train.optimizer
        self._nodes = job.model.nodes
        self._train = data.train
        self._weights: Params = {}
        self._optimizer = make_optimizer(self._rule)

    def load(self, params: Params) -> None:
        self._weights = {name: array.astype(self._dtype) for name, array in params.items()}
        self._optimizer = make_optimizer(self._rule)

    def params(self) -> Params:
        return {name: array.copy() for name, array in self._weights.items()}

    def predict(self, x: Array) -> Array:
        begins = range(0, len(x), EVALUATION_BATCH)
        return np.concatenate([self._last(x[begin : begin + EVALUATION_BATCH]) for begin in begins])

    def outputs(self, x: Array, *, training: bool = False) -> dict[str, Array]:
        # no layer of this backend behaves differently in training
        found = {}
        for node in self._nodes:
            x = LOWERINGS[node.layer.type].forward(self._own(node), x)
            found[node.name] = x
        return found

    def loss_and_gradients(self, rows: Array, step: int = 0) -> tuple[float, Params]:
        x = self._train.x[rows]
        y = self._train.y[rows]
        outputs = self.outputs(x)
        logits = outputs[self._nodes[-1].name]
        flow = _loss_gradient(self._task, logits, y).astype(self._dtype)
        gradients: Params = {}
        inputs = [x, *outputs.values()]
        for node, node_input in zip(reversed(self._nodes), reversed(inputs[:-1]), strict=True):
            backward = LOWERINGS[node.layer.type].backward
            flow, own = backward(self._own(node), node_input, outputs[node.name], flow)
            gradients |= {f"{node.name}.{name}": gradient for name, gradient in own.items()}
        return losses.data_loss(self._task, logits, y), gradients

    def train(self, plan: BatchPlan, gate: Gate) -> None:
        rates = plan.learning_rate.astype(self._dtype)
        while (piece := gate.next()) is not None:
            found = []
            for step in range(piece.begin, piece.end):
                loss, gradients = self.loss_and_gradients(plan.rows(step))
                self._optimizer.step(self._weights, gradients, rates[step])
                found.append(loss)
            gate.done(plan.mean_loss(piece.begin, piece.end, np.array(found)))

    def synchronize(self) -> None:
        """NumPy returns when it has finished."""

    def peak_bytes(self) -> int | None:
        return None

    def settings(self) -> dict[str, str]:
        # what touches the mathematics, so that the ledger can say where other runtimes differ
        return describe(self._job, ALIGNED)

    def close(self) -> None:
        """There is nothing to free."""

    def _last(self, x: Array) -> Array:
        return self.outputs(x)[self._nodes[-1].name]

    def _own(self, node: Node) -> Params:
        """A node's parameters by their own names."""
        return {
            parameter.name: self._weights[f"{node.name}.{parameter.name}"]
            for parameter in node.parameters
        }


def _loss_gradient(task: Task, outputs: Array, targets: Array) -> Array:
    """Gradient of ``losses.data_loss`` with respect to ``outputs``, in float64."""
    outputs = outputs.astype(np.float64)
    if task == "classification":
        probabilities = np.exp(losses.log_softmax(outputs))
        return (probabilities - np.eye(outputs.shape[-1])[targets]) / targets.size
    if task == "binary":
        return (losses.sigmoid(outputs) - targets) / outputs.size
    return 2 * (outputs - targets) / outputs.size
