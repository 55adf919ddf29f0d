"""A backend whose losses are written in advance, for tests of what stands around a training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nncompare.backends.base import Array
from nncompare.config.load import load_mapping
from nncompare.data.base import Data, Split
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.data import Signature
from nncompare.spec.job import Job
from nncompare.spec.layers import TensorSpec
from nncompare.testing.numpy_backend import NumpyBackend, NumpySession

STEPS_PER_EPOCH = 3
SIGNATURE = Signature(input=TensorSpec((2,)), outputs=2)


class ScriptedSession(NumpySession):
    """Counts steps in a bias; what it predicts depends on that bias alone.

    After epoch ``e`` (from 1) the logit of the right class is ``quality[e - 1]``.
    """

    quality: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    loss: Callable[[int], float] = staticmethod(lambda step: 1.0 / (step + 1))
    closed = 0

    def train_step(self, plan: BatchPlan, step: int) -> float:
        self.weights["dense_1.bias"][0] = step + 1
        return type(self).loss(step)

    def predict(self, x: Array) -> Array:
        epochs = int(self.weights["dense_1.bias"][0]) // STEPS_PER_EPOCH
        logits = np.zeros((len(x), 2))
        if epochs > 0:
            logits[:, 0] = self.quality[epochs - 1]
        return logits

    def close(self) -> None:
        type(self).closed += 1


class ScriptedBackend(NumpyBackend):
    """Opens a session class of its own, so that no test sees another one's script."""

    def __init__(self, refuses: str | None = None, **script: object):
        super().__init__(type("Session", (ScriptedSession,), {"closed": 0, **script}))
        self.refuses = refuses

    def why_not(self, job: Job) -> str | None:
        return self.refuses

    def resolve(self, job: Job) -> Job:
        return job


def data() -> Data:
    """Nine training examples of two numbers, all of class 0."""

    def split(examples: int) -> Split:
        return Split(x=np.ones((examples, 2)), y=np.zeros(examples, np.int32))

    return Data(train=split(9), validation=split(4), test=split(5), signature=SIGNATURE)


def job(*, parity: str = "off", **train: object) -> Job:
    """Three steps an epoch; ``runtime`` is one that the catalog knows."""
    mapping = {
        "data": {"name": "random", "shape": [2], "outputs": 2},
        "model": {"layers": [{"type": "dense", "units": 2}]},
        "train": {"batch_size": 3, "epochs": 4, "dtype": "float64", **train},
        "measure": {"parity": parity},
    }
    return Job(runtime="torch", experiment=load_mapping(mapping), signature=SIGNATURE)
