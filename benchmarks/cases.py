"""The four cases as experiments of nncompare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nncompare.spec.experiment import Experiment

STEPS_PER_EPOCH = 64
"""Whole batches, so that no side can win at the ragged end of an epoch: 8192 training examples, or
2048 at batch 32.
"""
LEARNING_RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network with its data.

    Args:
        title: one line for the table.
        data: keys of the ``random`` data set, shapes without the batch axis.
        model: the ``model`` part of the experiment.
        batch_size: examples a step.
    """

    title: str
    data: dict[str, Any]
    model: dict[str, Any]
    batch_size: int


CASES: dict[str, Case] = {
    "mlp": Case(
        title="784-256-10, relu",
        data={"shape": [784]},
        model={"family": "mlp", "hidden": [256], "activation": "relu"},
        batch_size=128,
    ),
    "cnn": Case(
        title="28x28x1, two blocks of 3x3 convolution and pooling (16, 32 filters), dense 64",
        data={"shape": [28, 28, 1]},
        model={
            "family": "cnn",
            "filters": [16, 32],
            "kernel": 3,
            "padding": "same",
            "pool": 2,
            "hidden": [64],
            "activation": "relu",
        },
        batch_size=128,
    ),
    "lstm": Case(
        title="28 steps of 28 features, LSTM 128, last step",
        data={"shape": [28, 28]},
        model={"family": "rnn", "cell": "lstm", "hidden": 128},
        batch_size=128,
    ),
    "attention": Case(
        title=(
            "64 tokens of 64, two causal pre-norm blocks: embedding 64, 4 heads, feed-forward 256,"
            " gelu"
        ),
        data={"shape": [64], "vocabulary": 64},
        model={
            "family": "attention",
            "embedding": 64,
            "heads": 4,
            "depth": 2,
            "feed_forward": 256,
            "causal": True,
            "activation": "gelu",
        },
        batch_size=32,
    ),
}


def experiment(name: str) -> Experiment:
    """The case as an experiment; ``random`` holds back a fifth for the test and a fifth of the rest
    for validation.
    """
    case = CASES[name]
    examples = STEPS_PER_EPOCH * case.batch_size * 25 // 16
    return Experiment.model_validate(
        {
            "name": f"bench-{name}",
            "task": "classification",
            "data": {
                "name": "random",
                "outputs": 10,
                "examples": examples,
                "test": 0.2,
                "validation": 0.2,
                **{
                    key: tuple(value) if isinstance(value, list) else value
                    for key, value in case.data.items()
                },
            },
            "model": case.model,
            "train": {
                "epochs": 1,
                "batch_size": case.batch_size,
                "optimizer": {"name": "adam", "lr": LEARNING_RATE},
                "dtype": "float32",
            },
        }
    )
