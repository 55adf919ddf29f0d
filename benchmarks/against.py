"""Does this checkout train as fast as another one? ``python -m benchmarks.against OTHER``.

OTHER is a checkout of another commit (``git worktree add OTHER COMMIT``). Each comparison starts
one process a checkout, with the same framework and case; both keep their session open and train
the same piece in turns, in shuffled order, so that both see the same minute of the machine. Printed
are ratios of neighbouring pieces: 1.02 means that this checkout is 2 % faster.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.intervals import median_interval, spread
from benchmarks.throughput import FRAMEWORKS, environment_of
from nncompare.launch.resources import usable_threads

WARM_UP = 3
"""Pieces of each side that are not counted."""


class Side:
    """One checkout's process, which trains a piece whenever it is told to."""

    def __init__(
        self, checkout: Path, framework: str, case: str, *, pieces: int, threads: int, home: Path
    ) -> None:
        home.mkdir()
        environment = environment_of(framework, threads, home)
        environment["PYTHONPATH"] = str(checkout)
        # to the process alone: frameworks print to stdout
        told, self._out = os.pipe()
        self._in, answers = os.pipe()
        request = json.dumps(
            {
                "framework": framework,
                "case_name": case,
                "pieces": pieces,
                "threads": threads,
                "told": told,
                "answers": answers,
            }
        )
        child = Path(__file__).with_name("against_child.py")
        self._log = (home / "log.txt").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, str(child), request],
            env=environment,
            pass_fds=(told, answers),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=checkout,
        )
        os.close(told)
        os.close(answers)
        self._answers = os.fdopen(self._in)

    def piece_s(self) -> float:
        """Trains one piece.

        Returns:
            Seconds.

        Raises:
            RuntimeError: the process ended.
        """
        os.write(self._out, b"\n")
        answer = self._answers.readline()
        if not answer:
            self._log.seek(0)
            raise RuntimeError("".join(self._log.readlines()[-15:]))
        return float(answer)

    def close(self) -> None:
        os.close(self._out)
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._log.close()


def compare(other: Path, framework: str, case: str, *, pairs: int, threads: int) -> list[float]:
    """Throughput of this checkout over the other's, one ratio a pair of pieces."""
    here = Path(__file__).resolve().parent.parent
    pieces = pairs + WARM_UP
    chance = random.Random(f"{framework}/{case}")
    ratios = []
    with tempfile.TemporaryDirectory(prefix="nncompare-benchmark-") as name:
        sides = {
            checkout: Side(
                checkout, framework, case, pieces=pieces, threads=threads, home=Path(name) / label
            )
            for label, checkout in (("this", here), ("other", other))
        }
        try:
            for number in range(pieces):
                order = [here, other]
                chance.shuffle(order)
                seconds = {checkout: sides[checkout].piece_s() for checkout in order}
                if number >= WARM_UP:
                    ratios.append(seconds[other] / seconds[here])
        finally:
            for side in sides.values():
                side.close()
    return ratios


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against", description=__doc__.split("\n")[0]
    )
    parser.add_argument("other", type=Path, help="a checkout of another commit")
    parser.add_argument("--backend", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    parser.add_argument("--case", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--pairs", type=int, default=40, help="default 40")
    parser.add_argument("--threads", type=int, help="default: all that this process may use")
    chosen = parser.parse_args(given)
    threads = usable_threads(chosen.threads)
    for framework in chosen.backend:
        for case in chosen.case:
            head = f"{framework:<11}{case:<11}"
            try:
                ratios = compare(
                    chosen.other.resolve(), framework, case, pairs=chosen.pairs, threads=threads
                )
            except RuntimeError as error:
                print(f"{head}n/a: {error}", flush=True)
                continue
            found = median_interval(ratios)
            print(
                f"{head}{found.median:>6.3f}  {found.low:.3f} to {found.high:.3f}"
                f"  ({found.coverage:.0%})  ±{spread(ratios):.1%}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
