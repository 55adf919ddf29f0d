"""Dense, embedding, learned positions."""

from __future__ import annotations

from nncompare.numerics.reference.registry import formula
from nncompare.numerics.reference.run import Array, Params, Run
from nncompare.spec.layers.linear import Dense, Embedding, Position
from nncompare.spec.model import Node


@formula(Dense)
def dense(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``x W + b`` over the last axis. ``(N, …, in) -> (N, …, units)``."""
    y = x @ p["kernel"]
    return y + p["bias"] if "bias" in p else y


@formula(Embedding)
def embedding(node: Node, p: Params, x: Array, run: Run) -> Array:
    """Row ``token`` of the table. ``(N, T) -> (N, T, units)``."""
    return p["table"][x]


@formula(Position)
def position(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``x + table`` (Gehring et al. 2017, section 3.1). ``(N, T, E) -> (N, T, E)``."""
    return x + p["table"]
