"""What a trial of ``nncompare tune`` costs besides its training.

    python -m benchmarks.tune_overhead [--backend torch] [--trials 10] [--seconds 2] [--check]

Trials are made about two seconds long. The overhead of one is the wall time from taking it until it
is stored, less its steps, its validation passes and building the network, which is shown by itself:
every way of searching pays it. The first trial is left out: it pays the import. With ``--check``
the exit code is 1 where the median is above 5 %.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from nncompare.config.load import load_mapping
from nncompare.data import signature
from nncompare.studies.tune.record import TuneTrial
from nncompare.studies.tune.study import tune

LIMIT = 0.05


def search(backend: str, trials: int, epochs: int) -> list[TuneTrial]:
    """Trials of a small network on random numbers, without the first."""
    experiment = load_mapping(
        {
            "name": "overhead",
            "data": {"name": "random", "shape": [64], "examples": 20_000},
            "model": {"family": "mlp", "hidden": [64]},
            "train": {"epochs": epochs, "batch_size": 64},
            "backends": [backend],
            "measure": {"threads": 1},
            "tune": {
                "trials": trials + 1,
                "sampler": "tpe",
                "startup_trials": 3,
                # judges, and never stops one
                "pruner": {"name": "median", "startup_trials": trials + 2},
                "parameters": {
                    "train.optimizer.lr": {"min": 1e-4, "max": 1e-2, "log": True},
                    "model.dropout": {"min": 0.0, "max": 0.5},
                    "model.hidden.0": {"min": 48, "max": 80},
                },
            },
        },
        signature_of=signature,
    )
    return [trial for trial in tune(experiment, output=None).record.trials if trial.number > 0]


def epochs_for(backend: str, seconds: float) -> int:
    """How many epochs take so long: from two pilots, since the first epoch also pays the start of
    the loop.
    """
    short, long = 2, 8
    took = [
        statistics.median(trial.metrics["timing.train_s"] for trial in search(backend, 3, n))
        for n in (short, long)
    ]
    epoch_s = max((took[1] - took[0]) / (long - short), took[1] / (2 * long))
    return max(1, round(short + (seconds - took[0]) / epoch_s))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", action="append", choices=["torch", "tensorflow", "keras"])
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    worst = 0.0
    for backend in asked.backend or ["torch", "tensorflow", "keras"]:
        rows = search(backend, asked.trials, epochs_for(backend, asked.seconds))
        pure = [
            trial.metrics["timing.train_s"] + trial.metrics["timing.evaluate_s"] for trial in rows
        ]
        shares = [
            trial.metrics["overhead_s"] / base for trial, base in zip(rows, pure, strict=True)
        ]
        build = statistics.median(trial.metrics["timing.build_s"] for trial in rows)
        share = statistics.median(shares)
        worst = max(worst, share)
        print(
            f"{backend}: {len(rows)} trials of {statistics.median(pure):.2f} s: overhead"
            f" {100 * share:.2f} % ({min(shares):.2%} to {max(shares):.2%}), building"
            f" {build * 1000:.0f} ms"
        )
    return 1 if asked.check and worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
