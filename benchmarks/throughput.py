"""What does the harness cost? Training throughput inside nncompare over that of a hand-written
loop.

``python -m benchmarks.throughput`` runs the twelve comparisons of three frameworks and four cases
and prints a table of ratios: 1.00 means as fast as the script, 0.95 is the goal. Each comparison is
a fresh process with one framework; both sides live in it and take turns in short pieces, in
shuffled order (see ``benchmarks.interleave``). Only ratios are printed, since absolute times say
more about the machine than about nncompare.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.intervals import median_interval, spread
from nncompare.launch.environment import worker_environment
from nncompare.launch.resources import usable_threads
from nncompare.spec.runtimes import CATALOG

FRAMEWORKS = ("torch", "tensorflow", "keras")
GOAL = 0.95


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--backend", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS, help="default: all three"
    )
    parser.add_argument(
        "--case", nargs="+", choices=tuple(CASES), default=tuple(CASES), help="default: all four"
    )
    parser.add_argument("--pairs", type=int, default=20, help="pieces of each side; default 20")
    parser.add_argument(
        "--piece", type=float, default=0.3, metavar="SECONDS", help="shortest piece; default 0.3"
    )
    parser.add_argument(
        "--threads", type=int, help="for both sides; default: all that this process may use"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="keys data, weights and orders; default 0"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every pair of times as well"
    )
    parser.add_argument(
        "--check", action="store_true", help=f"exit 1 if a median is below {GOAL} or a case failed"
    )
    chosen = parser.parse_args(given)
    if chosen.pairs < 1 or chosen.piece <= 0:
        parser.error("--pairs and --piece take positive numbers")
    return chosen


def environment_of(framework: str, threads: int, home: Path) -> dict[str, str]:
    """The environment of a process that is timed: as a worker's on the CPU."""
    return worker_environment(
        framework, threads=threads, device="cpu", deterministic=False, home=home, temporary=home
    )


def compare(framework: str, case: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """The answer of one fresh process; ``error`` says why there are no ratios."""
    threads = usable_threads(chosen.threads)
    with tempfile.TemporaryDirectory(prefix="nncompare-benchmark-") as name:
        home = Path(name)
        environment = environment_of(framework, threads, home)
        request = {
            "framework": framework,
            "case_name": case,
            "pairs": chosen.pairs,
            "piece_s": chosen.piece,
            "threads": threads,
            "seed": chosen.seed,
            "answer": str(home / "answer.json"),
        }
        command = [sys.executable, "-m", "benchmarks.child", json.dumps(request)]
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if (home / "answer.json").exists():
            answer: dict[str, Any] = json.loads((home / "answer.json").read_text())
            return answer
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        return {
            "framework": framework,
            "case": case,
            "error": f"exit code {done.returncode}\n{tail}",
        }


def line(answer: dict[str, Any]) -> str:
    head = f"{answer['framework']:<11}{answer['case']:<11}"
    if "error" in answer:
        return f"{head}n/a: {answer['error']}"
    found, noise = median_interval(answer["ratios"]), spread(answer["ratios"])
    if found.low >= GOAL:
        verdict = "met"
    elif found.high < GOAL:
        verdict = "missed"
    else:
        verdict = f"{'met' if found.median >= GOAL else 'missed'}, but the interval holds {GOAL}"
    interval = f"{found.low:.3f} to {found.high:.3f}"
    return (
        f"{head}{found.median:>6.3f}  {interval:<16}{found.coverage:>5.0%}  ±{noise:<6.1%}"
        f" {verdict}"
    )


def table_head(chosen: argparse.Namespace) -> str:
    return (
        "Training throughput inside nncompare over a hand-written loop; the goal is"
        f" {GOAL}.\n{chosen.pairs} pairs of pieces of at least {chosen.piece:g} s,"
        f" {usable_threads(chosen.threads)} threads; load average at the start"
        f" {os.getloadavg()[0]:.1f}.\n\n{'backend':<11}{'case':<11}{'ratio':>6} "
        f" {'interval':<16}{'cover':>5}  noise   goal"
    )


LEGEND = """
ratio     median over the pairs; above 1: the session was the faster side
interval  of that median, exact from order statistics; cover: the probability
          with which it holds the true median
noise     half the range of the middle half of the ratios; on a busy
          machine repeat with more --pairs"""


def main(given: list[str] | None = None) -> int:
    chosen = arguments(given)
    print(table_head(chosen), flush=True)
    answers: list[dict[str, Any]] = []
    for framework in chosen.backend:
        missing = CATALOG[framework].missing()
        for case in chosen.case:
            if missing:
                answers.append({"framework": framework, "case": case, "error": missing})
            else:
                answers.append(compare(framework, case, chosen))
            print(line(answers[-1]), flush=True)
    print(LEGEND)
    if chosen.json:
        chosen.json.write_text(
            json.dumps({"schema_version": 1, "goal": GOAL, "answers": answers}, indent=1) + "\n"
        )
    good = all(
        "error" not in answer and median_interval(answer["ratios"]).median >= GOAL
        for answer in answers
    )
    return 0 if good or not chosen.check else 1


if __name__ == "__main__":
    sys.exit(main())
