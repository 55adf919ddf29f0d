"""One case of the conformance suite: a small float64 model, its data and its training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.data.base import Data, Split
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.keys import generator
from nncompare.numerics.schedules import make_plan
from nncompare.spec.data import Signature, Task
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.layers import TensorSpec
from nncompare.spec.model import Model

SEED = 7
Layers = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model, its data and its training.

    Args:
        name: unique; ``group/what``.
        layers: as in YAML, head included.
        input: one example.
        outputs: classes, or values.
        task, per_step: as in the experiment and its signature.
        train: keys of the file's ``train`` section that differ from plain SGD with lr 0.1.
        examples, batch_size, epochs: of training; the last batch is partial if they do not divide.
        predicted: examples in the test part, for ``predict``.
        offset: added to every input number.
        check: more to check: ``pieces`` (whole epochs give what single steps give), ``stop`` (the
            gate may end training early), ``start`` (the framework's own initial weights; of native
            cases).
    """

    name: str
    layers: Layers
    input: TensorSpec
    outputs: int = 3
    task: Task = "classification"
    per_step: bool = False
    train: dict[str, Any] = field(default_factory=dict)
    examples: int = 8
    batch_size: int = 4
    epochs: int = 1
    predicted: int = 5
    offset: float = 0.0
    check: tuple[Literal["pieces", "stop", "start"], ...] = ()

    def natively(self) -> Case:
        """The same in the native convention: ``native/group/what``."""
        train = {**self.train, "convention": "native"}
        return replace(self, name=f"native/{self.name}", train=train)

    @property
    def is_native(self) -> bool:
        return self.experiment.train.convention == "native"

    @cached_property
    def experiment(self) -> Experiment:
        described = {
            "name": "random",
            "shape": self.input.shape,
            "outputs": self.outputs,
            "examples": 100,
        }
        if self.input.is_tokens:
            described["vocabulary"] = self.input.vocabulary
        train = {
            "optimizer": {"name": "sgd", "lr": 0.1},
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "seed": SEED,
            "dtype": "float64",
            **self.train,
        }
        values = {
            "task": self.task,
            "data": described,
            "model": {"layers": self.layers},
            "train": train,
        }
        return Experiment.model_validate(values)

    @property
    def signature(self) -> Signature:
        return Signature(input=self.input, outputs=self.outputs, per_step=self.per_step)

    @cached_property
    def model(self) -> Model:
        return self.experiment.resolve(self.signature)

    @cached_property
    def has_dropout(self) -> bool:
        return any(rate > 0 for rate in self.model.drop_rates.values())

    def plan(self, job: Job) -> BatchPlan:
        """Batches and learning rates of a job of this case, whose backend has filled in a rate that
        the case leaves open.
        """
        return make_plan(job.experiment.train, self.examples, job.seed)

    def job(self, runtime: str) -> Job:
        return Job(
            runtime=runtime,
            experiment=self.experiment,
            signature=self.signature,
            device="cpu",
            threads=1,
            seed=SEED,
            dropout="masks",
            deterministic=True,
        )

    @cached_property
    def data(self) -> Data:
        return Data(
            train=self._split("train", self.examples),
            validation=self._split("validation", 3),
            test=self._split("test", self.predicted),
            signature=self.signature,
        )

    def _split(self, part: str, size: int) -> Split:
        stream = generator(SEED, f"conformance/{self.name}/{part}")
        shape = (size, *self.input.shape)
        x: Array
        if self.input.vocabulary is not None:
            x = stream.integers(0, self.input.vocabulary, shape).astype(np.int32)
        else:
            x = stream.normal(size=shape) + self.offset
        y: Array
        match self.task:
            case "classification":
                # one class an example, or one at every step of it
                steps = self.input.shape[:1] if self.per_step else ()
                y = stream.integers(0, self.outputs, (size, *steps)).astype(np.int32)
            case "binary":
                y = stream.integers(0, 2, (size, 1)).astype(np.float64)
            case "regression":
                y = stream.normal(size=(size, self.outputs))
            case _:
                raise NotImplementedError(self.task)
        return Split(x=x, y=y)

    @property
    def params(self) -> Params:
        """Fresh weights, none of them zero or one, so that a swapped or forgotten parameter
        shows.
        """
        return {name: self._draw(name) for name in self.model.parameters}

    def _draw(self, name: str) -> Array:
        parameter = self.model.parameters[name]
        values = generator(SEED, f"conformance/{self.name}/{name}").normal(size=parameter.shape)
        if name.endswith("running_variance"):
            return np.asarray(0.5 + np.abs(values))
        # a scale of one, or a bias of zero, would hide a parameter that is never used
        if parameter.role == "scale":
            return np.asarray(1 + 0.3 * values)
        # kernels keep the size of their inputs, so that no activation is saturated
        if parameter.penalized:
            return np.asarray(values / np.sqrt(parameter.fan_in))
        return np.asarray(0.5 * values)
