"""Small experiments whose contexts need no worker, and checks made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nncompare.config.load import load
from nncompare.data import signature
from nncompare.studies.verify.aligned import AlignedParity
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.watcher import Watcher

DATA = "{name: random, shape: [6, 6, 1], examples: 400}"
BATCH_NORM = (
    "[{type: conv2d, filters: 2}, {type: batch_norm}, {type: relu}, {type: flatten}, {type: dense,"
    " units: 10}]"
)
CHAOTIC_RNN = """[{type: reshape, shape: [36, 1]},
  {type: rnn, units: 12, recurrent_initializer: {name: orthogonal, scale: 3.0}}, {type: dense, units: 10}]"""
DENSE = "[{type: flatten}, {type: dense, units: 10}]"


def context(layers: str, dtype: str, work: Path, steps: int = 20) -> Context:
    return check_of(layers, work, steps).contexts[dtype]


def check_of(layers: str, work: Path, steps: int = 20) -> AlignedParity:
    text = (
        f"data: {DATA}\nmodel: {{layers: {layers}}}\ntrain: {{batch_size: 64}}\nbackends: [torch,"
        " tensorflow]"
    )
    file = work / "experiment.yaml"
    file.write_text(text)
    return AlignedParity(
        load(file, (), signature_of=signature), work, Watcher(), steps, ("float64", "float32")
    )


def failing(quantity: str, layer: str | None, dtype: str, worst: float, **more: Any) -> Check:
    fields = {"runtime": "torch", "against": "formula", "tolerance": 0.0} | more
    return Check(quantity=Quantity(quantity), layer=layer, dtype=dtype, worst=worst, **fields)


def pair(
    quantity: str, layer: str | None, step: int, worst: float, tolerance: float = 1e-10
) -> Check:
    return Check(
        runtime="tensorflow",
        against="torch",
        quantity=Quantity(quantity),
        layer=layer,
        dtype="float64",
        worst=worst,
        tolerance=tolerance,
        step=step,
    )
