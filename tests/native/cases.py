"""What the native convention is tried on: three small networks in which every value that frameworks
have a default for is left open, and one large model to read words and figures from.
"""

from __future__ import annotations

from typing import Any

from nncompare.spec.layers import TensorSpec
from nncompare.testing.case import Case, Layers

MLP: Layers = [
    {"type": "dense", "units": 8},
    {"type": "batch_norm"},
    {"type": "relu"},
    {"type": "dense", "units": 3},
]
CNN: Layers = [
    {"type": "conv2d", "filters": 4},
    {"type": "relu"},
    {"type": "max_pool2d"},
    {"type": "flatten"},
    {"type": "dense", "units": 3},
]
LSTM: Layers = [
    {"type": "embedding", "units": 4},
    {"type": "lstm", "units": 5},
    {"type": "dense", "units": 3},
]
# large layers, so that the figures of a few hundred numbers tell their distribution
WIDE: Layers = [
    {"type": "embedding", "units": 64},
    {"type": "position"},
    {"type": "lstm", "units": 40, "return_sequences": True},
    {"type": "gru", "units": 40, "return_sequences": True},
    {"type": "rnn", "units": 64, "return_sequences": True},
    {"type": "attention", "heads": 4},
    {"type": "layer_norm"},
    {"type": "reshape", "shape": [8, 8, 64]},
    {"type": "conv2d", "filters": 32},
    {"type": "batch_norm"},
    {"type": "flatten"},
    {"type": "dense", "units": 16},
    {"type": "dense", "units": 3, "initializer": {"name": "uniform", "scale": 0.5}},
]


def _network(name: str, layers: Layers, x: TensorSpec, optimizer: str) -> Case:
    """Six steps over two epochs, the last of each smaller."""
    train = {"optimizer": {"name": optimizer}, "convention": "native"}
    return Case(name=name, layers=layers, input=x, examples=10, epochs=2, train=train)


NETWORKS = {
    case.name: case
    for case in (
        _network("mlp", MLP, TensorSpec((6,)), "sgd"),
        _network("cnn", CNN, TensorSpec((8, 8, 2)), "rmsprop"),
        _network("lstm", LSTM, TensorSpec((6,), 5), "adam"),
    )
}


def _large(convention: str) -> Case:
    train: dict[str, Any] = {
        "optimizer": {"name": "rmsprop", "momentum": 0.5},
        "convention": convention,
        "clip_norm": 1.0,
        "penalty": {"l2": 0.01},
        "dtype": "float32",
    }
    return Case(name=convention, layers=WIDE, input=TensorSpec((64,), 50), train=train)


LARGE = {convention: _large(convention) for convention in ("aligned", "native")}
