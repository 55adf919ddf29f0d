"""What the conformance suite does not ask of the TensorFlow backend.

``python -m tests.backends.test_tensorflow`` is the one process that holds TensorFlow; it prints what
it found as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nncompare.numerics.batches import BatchPlan
from nncompare.spec.layers import TensorSpec
from nncompare.spec.runtimes import CATALOG
from nncompare.testing.case import Case
from nncompare.worker.pieces import FixedGate, pieces_of

pytestmark = [pytest.mark.needs_tensorflow]

ROOT = Path(__file__).resolve().parents[2]
SMALL = Case(
    name="tensorflow/small",
    layers=[
        {"type": "dense", "units": 5},
        {"type": "dropout", "rate": 0.5},
        {"type": "dense", "units": 3},
    ],
    input=TensorSpec((6,)),
    examples=10,
    epochs=3,
    train={"optimizer": {"name": "adam", "lr": 0.01}},
)


@pytest.fixture(scope="module")
def found() -> Any:
    environment = {**os.environ, **CATALOG["tensorflow"].environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.backends.test_tensorflow"]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("dropout", ["framework", "masks"])
def test_a_check_after_the_training_traces_no_loop_again(found: Any, dropout: str) -> None:
    """A shorter plan over fewer examples reads the first rows of tables as long as the
    training's.
    """
    assert found[dropout]["loops"] == 2, "full batches, and the smaller last one"
    assert found[dropout]["traces"] == 2


@pytest.mark.parametrize("dropout", ["masks"])
def test_a_session_that_has_trained_computes_what_a_fresh_one_does(
    found: Any, dropout: str
) -> None:
    assert found[dropout]["after training"] == found[dropout]["fresh"]


def _look(dropout: str) -> dict[str, Any]:
    from nncompare.backends.tensorflow import BACKEND

    job = replace(SMALL.job("tensorflow"), dropout=dropout)
    size, rate = job.experiment.train.batch_size, SMALL.plan(job).learning_rate
    examples = len(SMALL.data.train)
    short = examples - size  # one full batch less, and the same last one
    steps = -(-short // size)
    few = BatchPlan(examples=short, batch_size=size, epochs=1, seed=0, learning_rate=rate[:steps])

    def losses(*plans: BatchPlan) -> tuple[Any, list[float]]:
        session = BACKEND.open(job, SMALL.data)
        for plan in plans:
            session.load(SMALL.params)
            gate = FixedGate(pieces_of(plan, 1))
            session.train(plan, gate)
        return session, gate.losses

    session, later = losses(SMALL.plan(job), few)
    traces = sum(loop.experimental_get_tracing_count() for loop in session._loops.values())
    _, fresh = losses(few)
    return {"loops": len(session._loops), "traces": traces, "after training": later, "fresh": fresh}


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps({dropout: _look(dropout) for dropout in ("framework", "masks")}) + "\n"
    )
