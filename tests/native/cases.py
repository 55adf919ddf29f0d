"""What the native convention is tried on: three small float64 models, every optimizer, values left
open and given.
"""

from __future__ import annotations

from typing import Any

from nncompare.spec.layers import TensorSpec
from nncompare.testing.case import Case

DENSE = {"type": "dense", "units": 3}
TABLE: list[dict[str, Any]] = [
    # batch norm would leave a bias without a gradient
    {"type": "dense", "units": 8, "bias": False},
    {"type": "batch_norm"},
    {"type": "leaky_relu"},
    {"type": "layer_norm"},
    {"type": "gelu"},
    DENSE,
]
TABLE_GIVEN: list[dict[str, Any]] = [
    {"type": "dense", "units": 8, "bias": False, "initializer": "kaiming_normal"},
    {"type": "batch_norm", "epsilon": 0.02, "momentum": 0.3},
    {"type": "leaky_relu", "slope": 0.5},
    {"type": "layer_norm", "epsilon": 0.1},
    {"type": "gelu", "approximate": True},
    DENSE,
]
IMAGE: list[dict[str, Any]] = [
    {"type": "conv2d", "filters": 4},
    # 5 -> 3, one zero on each side
    {"type": "avg_pool2d", "pool": 3, "stride": 2, "padding": "same"},
    {"type": "avg_pool2d", "padding": "same"},  # 3 -> 2, one zero behind
    {"type": "flatten"},
    DENSE,
]
TOKENS: list[dict[str, Any]] = [
    {"type": "embedding", "units": 4},
    {"type": "position"},
    {"type": "lstm", "units": 3, "return_sequences": True},
    {"type": "rnn", "units": 3, "return_sequences": True},
    {"type": "gru", "units": 4, "return_sequences": True},
    {"type": "attention", "heads": 2, "causal": True},
    {"type": "mean_time"},  # every step counts, so that a causal mask matters
    DENSE,
]
TOKENS_GIVEN = [
    {**TOKENS[0], "initializer": {"name": "normal", "scale": 0.5}},
    TOKENS[1],
    {**TOKENS[2], "initializer": "xavier_normal", "forget_bias": 0.5},
    *TOKENS[3:],
]
INPUTS = {"table": TensorSpec((6,)), "image": TensorSpec((7, 7, 2)), "tokens": TensorSpec((6,), 5)}
LAYERS = {"table": TABLE, "image": IMAGE, "tokens": TOKENS}


def _case(
    name: str, optimizer: dict[str, Any], layers: list[dict[str, Any]] | None = None, **train: Any
) -> Case:
    """Six steps over two epochs, the last of each smaller; the rate halves after the first epoch if
    asked.
    """
    kind = name.partition("/")[0]
    return Case(
        name=name,
        layers=layers or LAYERS[kind],
        input=INPUTS[kind],
        examples=10,
        epochs=2,
        train={"optimizer": optimizer, "convention": "native", **train},
    )


HALVED = {"schedule": {"name": "step", "every": 1, "factor": 0.5}}
GIVEN_ADAM = {"name": "adam", "lr": 0.02, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3}
GIVEN_RMSPROP = {"name": "rmsprop", "lr": 0.02, "rho": 0.5, "epsilon": 1e-2, "momentum": 0.3}
MOMENTUM = {"name": "sgd", "momentum": 0.9}

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        _case("table/sgd", {"name": "sgd"}, clip_norm=0.05, penalty={"l2": 0.1}),
        _case("table/adam", {"name": "adam"}, penalty={"l1": 0.01, "l2": 0.1}, **HALVED),
        _case("table/adamw", {"name": "adamw"}, penalty={"l2": 0.1}),
        _case("table/rmsprop", {"name": "rmsprop"}, penalty={"l2": 0.1}),
        _case("table/given", GIVEN_ADAM, TABLE_GIVEN),
        _case("image/sgd", MOMENTUM),
        _case("tokens/adam", {"name": "adam"}, clip_norm=0.05),
        _case("tokens/momentum", MOMENTUM, **HALVED),
        _case("tokens/nesterov", {**MOMENTUM, "nesterov": True}, **HALVED),
        _case("tokens/rmsprop", {"name": "rmsprop", "momentum": 0.5}, **HALVED),
        _case("tokens/given", GIVEN_RMSPROP, TOKENS_GIVEN),
    )
}
