"""What the errors are planted under: small experiments that together use every layer, optimizer and
loss.

Each is checked over 40 steps in batches of six: two epochs, whose last batches hold two examples.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from nncompare.spec.experiment import Experiment
from nncompare.studies.verify.aligned import AlignedParity
from nncompare.studies.verify.watcher import Watcher

STEPS = 40
_CONV: dict[str, Any] = {"type": "conv2d", "filters": 3, "kernel": 3, "padding": "same"}
_DENSE: dict[str, Any] = {"type": "dense"}


def _experiment(
    data: dict[str, Any], layers: list[dict[str, Any]], task: str = "classification", **train: Any
) -> Any:
    return {
        "task": task,
        "data": {"examples": 300, **data} if data["name"] == "random" else {"limit": 190, **data},
        "model": {"layers": layers},
        "train": {"batch_size": 6, "epochs": 2, "seed": 3, "dtype": "float64", **train},
    }


DESCRIBED: dict[str, Any] = {
    "table": _experiment(
        {"name": "random", "shape": [6], "outputs": 4},
        [
            {**_DENSE, "units": 8},
            {"type": "gelu"},
            {**_DENSE, "units": 7},
            {"type": "layer_norm"},
            {"type": "dropout", "rate": 0.4},
            {**_DENSE, "units": 6},
            {"type": "leaky_relu"},
            {**_DENSE, "units": 4},
        ],
        optimizer={"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
        schedule={"name": "exponential", "factor": 0.5},
        clip_norm=2.0,  # of the checked updates the first is not clipped, the others are
    ),
    "image": _experiment(
        {"name": "digits"},
        [
            {**_CONV, "stride": 2},
            {"type": "batch_norm", "momentum": 0.3},
            {"type": "relu"},
            {**_CONV, "filters": 4, "bias": False},
            {"type": "max_pool2d", "pool": 2},
            {"type": "flatten"},
            {**_DENSE, "units": 10},
        ],
        optimizer={"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
        schedule={"name": "step", "every": 1, "factor": 0.3},
        penalty={"l1": 0.002, "l2": 0.01},
    ),
    "rows": _experiment(
        {"name": "digits_rows"},
        [
            {"type": "lstm", "units": 4, "return_sequences": True},
            {"type": "gru", "units": 5},
            {**_DENSE, "units": 10},
        ],
        optimizer={"name": "rmsprop", "lr": 0.005, "momentum": 0.5},
        penalty={"l2": 0.003},
    ),
    "series": _experiment(
        {"name": "random", "shape": [5, 3], "outputs": 2},
        [{"type": "rnn", "units": 4}, {**_DENSE, "units": 2}],
        task="regression",
        optimizer={"name": "sgd", "lr": 0.05, "momentum": 0.9},
        schedule={"name": "cosine"},
        warmup_steps=5,
    ),
    "words": _experiment(
        {"name": "random", "shape": [5], "vocabulary": 40, "outputs": 4},
        [
            {"type": "embedding", "units": 6},
            {"type": "position"},
            {"type": "attention", "heads": 2, "causal": True},
            {"type": "mean_time"},
            {**_DENSE, "units": 4},
        ],
        optimizer={"name": "adam", "lr": 0.01},
    ),
    "residual": _experiment(
        {"name": "random", "shape": [4, 4, 2]},
        [
            {
                "type": "residual",
                "layers": [_CONV, {"type": "batch_norm"}, {"type": "tanh"}],
                "shortcut": [{**_CONV, "kernel": 1, "bias": False}],
            },
            {"type": "avg_pool2d", "pool": 3, "stride": 2, "padding": "same"},
            {"type": "residual", "layers": [{**_DENSE, "units": 3}, {"type": "sigmoid"}]},
            {"type": "flatten"},
            {**_DENSE, "units": 1},
        ],
        task="binary",
        optimizer={"name": "adam", "lr": 0.01, "beta2": 0.99, "epsilon": 1e-6},
    ),
}


@cache
def parity(name: str) -> AlignedParity:
    """The check of an experiment, as ``nncompare verify`` makes it; nothing is run."""
    experiment = Experiment.model_validate({"name": name, **DESCRIBED[name]})
    # float32 is judged, too, where an error shows only there
    return AlignedParity(
        experiment, Path(tempfile.gettempdir()), Watcher(), STEPS, ("float64", "float32")
    )
