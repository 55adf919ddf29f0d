"""One checkout's side of ``benchmarks.against``: trains one epoch whenever a line arrives.

Everything is imported from the checkout that PYTHONPATH names, so that two commits can be compared
whose modules stand in different places.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time

import numpy as np

# the checkout's own names for what both commits have
from benchmarks.child import CASES, CATALOG, Job, experiment, initial_params, plan_of, prepare
from nncompare.backends.base import Piece


class ToldGate:
    """Fulfils ``backends.base.Gate``: an epoch for every line that arrives, its seconds back."""

    def __init__(self, steps: int, epochs: int, told: int, answers: int) -> None:
        self._steps = steps
        self._epochs = epochs
        self._told = told
        self._answers = answers
        self._epoch = 0
        self._begin = 0.0

    def next(self) -> Piece | None:
        if self._epoch == self._epochs or not os.read(self._told, 1):
            return None
        self._begin = time.perf_counter()
        return Piece(self._epoch * self._steps, (self._epoch + 1) * self._steps, self._epoch)

    def done(self, _loss: float) -> None:
        seconds = time.perf_counter() - self._begin
        self._epoch += 1
        os.write(self._answers, f"{seconds!r}\n".encode())


def main() -> None:
    request = json.loads(sys.argv[1])
    framework, name = request["framework"], request["case_name"]
    spec = experiment(name)
    data = prepare(spec.data, spec.task, seed=0, dtype=np.float32)
    job = Job(
        runtime=framework,
        experiment=spec,
        signature=data.signature,
        device="cpu",
        threads=request["threads"],
        seed=0,
    )
    session = importlib.import_module(CATALOG[framework].module).BACKEND.open(job, data)
    session.load(initial_params(job.model, 0))
    plan = plan_of(request["pieces"], len(data.train), CASES[name].batch_size, 0)
    gc.collect()
    gc.freeze()
    session.train(
        plan,
        ToldGate(plan.steps_per_epoch, plan.epochs, request["told"], request["answers"]),
    )


if __name__ == "__main__":
    main()
