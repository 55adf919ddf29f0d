"""The backend that the runtime ``numpy`` names."""

from __future__ import annotations

import numpy as np

from nncompare.backends.base import Device, choose_device
from nncompare.data.base import Data
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.job import Job
from nncompare_numpy.layers import LOWERINGS
from nncompare_numpy.optimizers import OPTIMIZERS
from nncompare_numpy.session import CPU, NumpySession


class NumpyBackend:
    """See ``nncompare.backends.base.Backend``."""

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__}

    def devices(self) -> list[Device]:
        return [CPU]

    def why_not(self, job: Job) -> str | None:
        device = choose_device(self.devices(), job.device)
        if isinstance(device, str):
            return device
        if job.native:
            return "NumPy has no layers and optimizers of its own; write train.convention: aligned"
        lacking = {node.layer.type for node in job.model.walk()} - LOWERINGS.keys()
        if lacking:
            return f"the NumPy backend has no {', '.join(sorted(lacking))}"
        train = job.experiment.train
        if not isinstance(train.optimizer, OPTIMIZERS):
            return f"the NumPy backend has no optimizer {train.optimizer.name}"
        if train.clip_norm is not None or train.penalty.l1 or train.penalty.l2:
            return "the NumPy backend clips no gradients and adds no penalties"
        return None

    def resolve(self, job: Job) -> Job:
        return job

    def semantics(self, job: Job) -> Semantics:
        return ALIGNED

    def open(self, job: Job, data: Data) -> NumpySession:
        return NumpySession(job, data)


BACKEND = NumpyBackend()
