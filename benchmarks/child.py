"""One framework, one case, one process: builds both sides, checks that they do the same work, and
times them.

Started by ``benchmarks.throughput`` with a JSON request; writes its answer to the file that the
request names, since frameworks print to stdout.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import CASES, LEARNING_RATE, experiment
from benchmarks.interleave import InterleavingGate
from nncompare.data import prepare
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.initializers import initial_params
from nncompare.spec.job import Job
from nncompare.spec.runtimes import CATALOG

EXTRA_PARAMETERS = {("torch", "lstm"): 4 * 128}
"""``nn.LSTM`` as it comes trains two bias vectors that are only ever used as their sum."""
SAME_FUNCTION = 1e-4
"""Largest relative difference of the two losses at the same weights, in float32."""
SAME_TRAINING = 0.02
"""Largest relative difference of the mean losses of the first epochs: two orders of the same
examples.
"""
MARGIN = 1.25
"""Pieces are planned this much longer than asked, since the session may be the faster side."""


class DifferentWorkError(Exception):
    """The two sides do not compute the same: their times cannot be compared."""


def agree(what: str, session: float, handwritten: float, tolerance: float) -> None:
    difference = abs(session - handwritten) / abs(handwritten)
    if not difference <= tolerance:
        raise DifferentWorkError(
            f"{what}: {session:.6g} in the session, {handwritten:.6g} by hand: {difference:.1e}"
            f" apart, more than {tolerance:g}"
        )


def plan_of(epochs: int, examples: int, batch_size: int, seed: int) -> BatchPlan:
    steps = epochs * -(-examples // batch_size)
    rates = np.full(steps, LEARNING_RATE)
    return BatchPlan(
        examples=examples, batch_size=batch_size, epochs=epochs, seed=seed, learning_rate=rates
    )


def cross_entropy(logits: np.ndarray, y: np.ndarray) -> float:
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), y]))


def measure(
    framework: str, case_name: str, *, pairs: int, piece_s: float, threads: int, seed: int
) -> dict[str, Any]:
    """The answer to one request.

    Raises:
        DifferentWorkError: number of parameters, loss at the start, or loss after the first epochs
            differ.
    """
    case, spec = CASES[case_name], experiment(case_name)
    data = prepare(spec.data, spec.task, seed=seed, dtype=np.float32)
    train = data.train
    job = Job(
        runtime=framework,
        experiment=spec,
        signature=data.signature,
        device="cpu",
        threads=threads,
        seed=seed,
    )
    backend = importlib.import_module(CATALOG[framework].module).BACKEND
    reason = backend.why_not(job)
    if reason is not None:
        raise DifferentWorkError(f"the backend refuses the case: {reason}")
    # first: it sets the threads, which a framework allows only before it works
    session = backend.open(job, data)
    params = initial_params(job.model, seed)
    session.load(params)
    loop = importlib.import_module(f"benchmarks.handwritten.{framework}").Loop(
        case_name, train.x, train.y, batch_size=case.batch_size, learning_rate=LEARNING_RATE
    )
    loop.load(params)

    wanted = job.model.trainable_count + EXTRA_PARAMETERS.get((framework, case_name), 0)
    if loop.parameters != wanted:
        raise DifferentWorkError(
            f"the hand-written model has {loop.parameters} parameters instead of {wanted}"
        )
    agree(
        "loss at the start",
        cross_entropy(session.predict(train.x), train.y),
        loop.loss(),
        SAME_FUNCTION,
    )

    _, first_loss = loop.train(1)  # also the warm-up
    epoch_s = loop.train(1)[0]
    check = InterleavingGate(
        plan_of(2, len(train), case.batch_size, seed),
        epochs=1,
        order=[False],
        handwritten=lambda _: 0.0,
    )
    session.train(check.plan, check)
    agree("mean loss of the second epoch", check.losses[1], first_loss, SAME_TRAINING)

    epochs = max(1, math.ceil(piece_s * MARGIN / epoch_s))
    order = [True] * (pairs // 2) + [False] * (pairs - pairs // 2)
    random.Random(f"{seed}/{framework}/{case_name}").shuffle(order)
    gate = InterleavingGate(
        plan_of((1 + epochs) * pairs, len(train), case.batch_size, seed),
        epochs=epochs,
        order=order,
        handwritten=lambda count: loop.train(count)[0],
    )
    session.load(params)
    loop.load(params)
    gc.collect()
    gc.freeze()
    session.train(gate.plan, gate)
    return {
        "framework": framework,
        "case": case_name,
        "versions": backend.versions(),
        "threads": threads,
        "steps": epochs * gate.plan.steps_per_epoch,
        "pairs": [pair._asdict() for pair in gate.pairs],
        "ratios": [pair.ratio for pair in gate.pairs],
        "settings": session.settings(),
        "load": list(os.getloadavg()),
    }


def main() -> int:
    request = json.loads(sys.argv[1])
    answer = Path(request.pop("answer"))
    try:
        found = measure(**request)
    except DifferentWorkError as error:
        found = {
            "framework": request["framework"],
            "case": request["case_name"],
            "error": str(error),
        }
    answer.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
