"""What a parity check sees of one runtime, and its form on the disk."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from nncompare.backends.base import EVALUATION_BATCH, Array, Params

OBSERVATION_FILE = "observation.npz"
QUICK_STEPS = 10
"""Steps of the short form of a check, after a training."""
PERTURBATION = 1e-14
"""By how much the initial weights are moved to learn how fast rounding grows, relative to the
largest entry of a tensor: several times the rounding of a forward and a backward pass in float64.
"""


def evaluation_rows(examples: int) -> Array:
    """Which of the evaluation examples ``predict`` is given: all, repeated until they no longer fit
    into one of its chunks, and a few of the next.
    """
    return np.arange(EVALUATION_BATCH + min(examples, 7)) % examples


@dataclass(kw_only=True)
class Observation:
    """What one session gave, in canonical layouts. Lists run over steps.

    Args:
        loaded: ``params`` right after the probe weights were loaded.
        outputs, training_outputs: every node's, at the probe weights, for the examples
            ``forward_rows``.
        gradients: at the probe weights for ``gradient_rows``; ``loss``: its loss, ``{"": scalar}``.
        update_weights: before each of the checked updates, and after the last.
        update_gradients: at each of them; ``update_losses``: ``{"": (updates,)}``, as the training
            loop gave them.
        update_outputs: every node's after the last of them, for the examples ``forward_rows``.
        start_gradients: of the trajectory's first step, before it.
        losses: of every step of the trajectory, ``{"": (steps,)}``.
        checkpoints: weights after so many steps of the trajectory; after 0: as they were loaded.
        logits: of ``evaluation_rows`` at the trajectory's last weights, ``{"": (N, …)}``.
        epoch_logits: the same after its first epoch, in the midst of training.
        whole: weights after the trajectory's first epochs, trained again in long pieces.
        whole_losses: of these pieces, ``{"": (pieces,)}``.
        drawn: in and out of every dropout layer in training mode with the framework's own masks;
            empty without dropout.
        update_squares, start_squares: beside ``update_gradients`` and ``start_gradients``, what
            ``backends.base.TokenwiseSession`` gives of embeddings' tables; native only.
    """

    loaded: Params = field(default_factory=dict)
    outputs: Params = field(default_factory=dict)
    training_outputs: Params = field(default_factory=dict)
    loss: Params = field(default_factory=dict)
    gradients: Params = field(default_factory=dict)
    update_weights: dict[int, Params] = field(default_factory=dict)
    update_gradients: dict[int, Params] = field(default_factory=dict)
    update_losses: Params = field(default_factory=dict)
    update_outputs: Params = field(default_factory=dict)
    start_gradients: Params = field(default_factory=dict)
    losses: Params = field(default_factory=dict)
    checkpoints: dict[int, Params] = field(default_factory=dict)
    logits: Params = field(default_factory=dict)
    epoch_logits: Params = field(default_factory=dict)
    whole: Params = field(default_factory=dict)
    whole_losses: Params = field(default_factory=dict)
    drawn: Params = field(default_factory=dict)
    update_squares: dict[int, Params] = field(default_factory=dict)
    start_squares: Params = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes one file of plain arrays, named ``field|step|name``."""
        arrays: dict[str, Array] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            # what is kept once has an empty step in its name
            groups = value if item.name in _STEPPED else {"": value}
            for step, group in groups.items():
                for name, array in group.items():
                    arrays[f"{item.name}|{step}|{name}"] = array
        np.savez(folder / OBSERVATION_FILE, allow_pickle=False, **arrays)


_STEPPED = ("update_weights", "update_gradients", "update_squares", "checkpoints")


def read(folder: Path) -> Observation:
    """What ``Observation.save`` wrote."""
    found: dict[str, Any] = {item.name: {} for item in fields(Observation)}
    with np.load(folder / OBSERVATION_FILE, allow_pickle=False) as file:
        for key in file.files:
            # no name of a parameter or a layer has a bar in it
            kind, step, name = key.split("|")
            group = found[kind].setdefault(int(step), {}) if step else found[kind]
            group[name] = file[key]
    return Observation(**found)
