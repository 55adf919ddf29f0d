"""Trains a parity check's trajectory once more, from weights that are moved by about as much as
rounding moves them.

How far the two trainings of the *same* runtime come apart says how fast rounding grows in this
experiment, and so how far apart two right runtimes may lie.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from nncompare.backends.base import Params
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.keys import generator
from nncompare.numerics.parity import parity_plan
from nncompare.spec.model import Model
from nncompare.wire.connection import Send
from nncompare.wire.observation import PERTURBATION, Observation
from nncompare.wire.requests import PerturbedRequest
from nncompare.worker.observe import load, observe_trajectory, prepare

_SMALLEST_SIZE = 0.1
"""Size of a tensor whose entries are smaller, such as biases that start at zero."""


def perturbed_params(model: Model, seed: int) -> Params:
    """The initial weights, every trained number moved by rounding.

    Returns:
        Canonical name -> array in float64.
    """
    moved: Params = {}
    for name, value in initial_params(model, seed).items():
        # running statistics are computed and not trained
        if not model.parameters[name].trainable:
            moved[name] = value
            continue
        size = max(float(np.abs(value).max(initial=0.0)), _SMALLEST_SIZE)
        # the name of the random stream is part of the numbers, so it stays as it is
        noise = generator(seed, f"nudge/{name}").standard_normal(value.shape)
        moved[name] = value + PERTURBATION * size * noise
    return moved


def check_perturbed(request: PerturbedRequest, folder: Path, send: Send) -> None:
    """The job of a worker: the trajectory from ``perturbed_params``.

    Losses, checkpoints and logits go to ``folder`` as an observation.

    Raises:
        Refused: with the reason.
    """
    backend, job, data = prepare(request, send)
    plan = parity_plan(job.experiment.train, len(data.train), job.seed, request.steps)
    observation = Observation()
    with closing(backend.open(job, data)) as session:
        load(session, job, perturbed_params)
        observe_trajectory(session, data, plan, observation, send)
    observation.save(folder)
