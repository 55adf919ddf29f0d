"""Layers in NumPy: what each computes, and what flows back through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Params = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A layer.

    Args:
        forward: its own parameters and its input -> its output.
        backward: its own parameters, its input, its output, and the loss's gradient with respect to
            the output -> the gradient with respect to the input, and those of its parameters.
    """

    forward: Callable[[Params, Array], Array]
    backward: Callable[[Params, Array, Array, Array], tuple[Array, Params]]


def _dense_forward(params: Params, x: Array) -> Array:
    y = x @ params["kernel"]
    return y + params["bias"] if "bias" in params else y


def _dense_backward(params: Params, x: Array, y: Array, flow: Array) -> tuple[Array, Params]:
    found = {"kernel": x.reshape(-1, x.shape[-1]).T @ flow.reshape(-1, flow.shape[-1])}
    if "bias" in params:
        found["bias"] = flow.reshape(-1, flow.shape[-1]).sum(axis=0)
    return flow @ params["kernel"].T, found


LOWERINGS: dict[str, Operation] = {
    "dense": Operation(forward=_dense_forward, backward=_dense_backward),
    "flatten": Operation(
        forward=lambda params, x: x.reshape(len(x), -1),
        backward=lambda params, x, y, flow: (flow.reshape(x.shape), {}),
    ),
    "relu": Operation(
        forward=lambda params, x: np.maximum(x, 0),
        backward=lambda params, x, y, flow: (flow * (x > 0), {}),
    ),
    "tanh": Operation(
        forward=lambda params, x: np.tanh(x),
        backward=lambda params, x, y, flow: (flow * (1 - y * y), {}),
    ),
}
"""Layer type -> how it is computed. ``why_not`` refuses a model with any other layer."""
