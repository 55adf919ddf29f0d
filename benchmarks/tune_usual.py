"""``nncompare tune`` beside the same search as it is usually written, on MNIST.

    python -m benchmarks.tune_usual [--trials 20] [--jobs N] [--backend torch] [--check]

The usual way (``benchmarks.usual``): an Optuna objective that makes data sets and loaders, where
every sample goes through torchvision's ``ToTensor`` and ``Normalize`` one by one, a training loop
of the same framework over that ``DataLoader``, and a validation pass. Both sides train the same
trials: the same network, split sizes, batch size, epochs and proposals.

As it stands each search has the whole machine: nncompare one worker a processor, the usual
    objective one process that
trains trial after trial with as many threads; the ratio is of the whole searches, with our start
and without theirs. Ours runs once before and once after the other, and its mean is taken, so that a
machine that slows down shows. Processor seconds are printed too; other programs change them less.
``--jobs 1`` compares single trials instead: with one thread each they take turns trial by trial, in
processes of their own, so that a slow spell of the machine meets both; the ratio is of seconds a
trial.

Where torchvision cannot be imported its operations are done by the same calls without it; where
Pillow is missing too, on the array itself. Both are quicker than torchvision, so that the ratio is
smaller than it would be; it says which.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.usual import OBJECTIVES
from nncompare.config.load import load
from nncompare.data import signature
from nncompare.launch.resources import usable_threads
from nncompare.studies.tune.options import SearchOptions
from nncompare.studies.tune.study import tune
from nncompare.studies.tune.watcher import Watcher

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs" / "tune_mnist_mlp.yaml"
WANTED = 10.0


def save_pictures(folder: Path) -> None:
    """The raw pictures, split as nncompare splits them."""
    import numpy as np

    from nncompare.data.mnist import ensure, read_pair
    from nncompare.data.splits import hold_back, order

    pair = read_pair(ensure(None, lambda _: None), "train")
    rows_in_order = order(len(pair.labels), 0, pair.labels)
    train, held = hold_back(rows_in_order, validation=0.2, limit=None)
    for part, rows in (("train", train), ("validation", held)):
        np.save(folder / f"{part}_images.npy", pair.images[rows])
        np.save(folder / f"{part}_labels.npy", pair.labels[rows])


class _Turns(Watcher):
    """A watcher that lets the other side train the same trial after each of ours.

    Args:
        other: asked for the trial's number, answers with its seconds.
        at_once: False: only keeps our figures.
    """

    def __init__(self, other: Callable[[int], dict[str, float]], *, at_once: bool):
        self.other, self.at_once = other, at_once
        self.ours: dict[int, Any] = {}
        self.ratios: list[float] = []

    def trial_done(self, runtime: str, done: Any) -> None:
        self.ours[done.number] = done
        if self.at_once and done.number > 0:  # the first one pays the import
            self.compare(done.number)

    def compare(self, number: int) -> dict[str, float]:
        done, theirs = self.ours[number], self.other(number)
        self.ratios.append(theirs["seconds"] / done.seconds)
        print(
            f"trial {number}: nncompare {done.seconds:.2f} s (loss {done.values[0]:.4f}), usual "
            f"{theirs['seconds']:.2f} s (loss {theirs['value']:.4f}): {self.ratios[-1]:.1f} times",
            flush=True,
        )
        return theirs


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument(
        "--backend", choices=tuple(OBJECTIVES), default="torch", help="trains on both sides"
    )
    parser.add_argument("--jobs", type=int, default=usable_threads())
    parser.add_argument("--check", action="store_true")
    return side_by_side(parser.parse_args())


def side_by_side(asked: argparse.Namespace) -> int:
    """Both searches, in turns or one after the other."""
    changes = [f"tune.trials={asked.trials + (asked.jobs == 1)}", "tune.sampler=random"]
    changes += [f"measure.threads={asked.threads}"] if asked.jobs == 1 else []
    experiment = load(CONFIG, changes, backends=[asked.backend], signature_of=signature)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        save_pictures(folder)
        train = experiment.train
        described = {
            "trials": proposals(experiment),
            "epochs": train.epochs,
            "batch_size": train.batch_size,
        }
        (folder / "proposals.json").write_text(json.dumps(described))
        turns = _Turns(other_side(folder, asked, stack), at_once=asked.jobs == 1)
        ours, cpu = searched(experiment, asked.jobs, turns)
        if asked.jobs > 1:
            theirs = [turns.compare(number) for number in range(asked.trials)]
            again, again_cpu = searched(experiment, asked.jobs, Watcher())
            usual_s, usual_cpu = (sum(item[key] for item in theirs) for key in ("seconds", "cpu_s"))
            print(
                f"{asked.trials} trials: nncompare {ours:.1f} s before and {again:.1f} s after,"
                f" usual {usual_s:.1f} s"
            )
            print(
                f"processor seconds: nncompare {cpu:.1f} and {again_cpu:.1f}, usual {usual_cpu:.1f}"
            )
            ratio, kind = (
                2 * usual_s / (ours + again),
                f"of the whole searches with {asked.jobs} workers",
            )
        else:
            ratio, kind = statistics.median(turns.ratios), f"median of {len(turns.ratios)} trials"
    print(f"{asked.backend}: {ratio:.1f} times as fast, {kind}")
    return 1 if asked.check and ratio < WANTED else 0


def searched(experiment: Any, jobs: int, watcher: Watcher) -> tuple[float, float]:
    """Wall and processor seconds of one search of ours, from its start to its end, workers
    included.
    """
    begun, before = time.perf_counter(), os.times()
    tune(experiment, SearchOptions(jobs=jobs), output=None, watcher=watcher)
    after = os.times()
    kinds = ("user", "system", "children_user", "children_system")
    return time.perf_counter() - begun, sum(
        getattr(after, kind) - getattr(before, kind) for kind in kinds
    )


def other_side(
    folder: Path, asked: argparse.Namespace, stack: ExitStack
) -> Callable[[int], dict[str, float]]:
    """Starts the usual objective in its process."""
    threads = asked.threads * asked.jobs
    command = [sys.executable, "-m", "benchmarks.usual", str(folder), asked.backend, str(threads)]
    quiet = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    environment = {**os.environ, **quiet, "OMP_NUM_THREADS": str(threads)}
    log = stack.enter_context((folder / "usual.log").open("w"))
    other = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    stack.callback(other.terminate)
    given, answers = other.stdin, other.stdout
    assert given is not None
    assert answers is not None

    def answer() -> str:
        if line := answers.readline().strip():
            return line
        raise SystemExit(f"the usual side ended:\n{(folder / 'usual.log').read_text()[-2000:]}")

    print(f"the usual side transforms with {answer().removeprefix('ready: ')}", flush=True)

    def ask(number: int) -> dict[str, float]:
        given.write(f"{number}\n")
        given.flush()
        found: dict[str, float] = json.loads(answer())
        return found

    return ask


def proposals(experiment: Any) -> list[dict[str, Any]]:
    """What the random sampler proposes for every trial: it looks at no values, so they are known
    ahead.
    """
    import optuna

    from nncompare.studies.tune.samplers import distributions, sampler

    found = []
    for number in range(experiment.tune.trials):
        study = optuna.create_study(sampler=sampler(experiment.tune, number))
        found.append(study.ask(distributions(experiment.tune)).params)
    return found


if __name__ == "__main__":
    sys.exit(main())
