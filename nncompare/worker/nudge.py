"""Trains a parity check's trajectory once more, from weights that are moved by about as much as
rounding moves them.

How far the two trainings of the *same* runtime come apart says how fast rounding grows in this
experiment, and so how far apart two right runtimes may lie.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nncompare.backends.base import Params
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.keys import generator
from nncompare.numerics.parity import parity_plan
from nncompare.spec.job import Job
from nncompare.spec.model import Model
from nncompare.wire.observation import Observation
from nncompare.worker.observe import as_dtype, ready, trajectory

NUDGE = 1e-14
"""Relative to the largest entry of a tensor: several times the rounding of a forward and a backward
pass in float64.
"""
_LEAST = 0.1
"""Size of a tensor whose entries are smaller, such as biases that start at zero."""


def nudged_params(model: Model, seed: int) -> Params:
    """The initial weights, every trained number moved by rounding; float64."""
    found: Params = {}
    for name, value in initial_params(model, seed).items():
        size = max(float(np.abs(value).max(initial=0.0)), _LEAST)
        noise = generator(seed, f"nudge/{name}").standard_normal(value.shape)
        found[name] = value + NUDGE * size * noise if model.parameters[name].trainable else value
    return found


def nudge(job: Job, data_folder: Path, steps: int, folder: Path, send: Callable[..., None]) -> None:
    """The job of a worker: the trajectory from ``nudged_params``; losses, checkpoints and logits go
    to ``folder``.

    Raises:
        Refused: with the reason.
    """
    backend, job, data = ready(job, data_folder, send)
    plan = parity_plan(job.experiment.train, len(data.train), job.seed, steps)
    session, seen = backend.open(job, data), Observation()
    try:
        session.load(as_dtype(nudged_params(job.model, job.seed), job))
        trajectory(session, data, plan, seen, send)
    finally:
        session.close()
    seen.save(folder)
    send("result", observed=True)
