"""Runs the conformance suite for one backend in this process, without pytest::

    python -m nncompare.testing.worker torch --only layer/dense
    python -m nncompare.testing.worker mypackage.mybackend:BACKEND

It prints what failed. With ``--report FILE`` it also writes one line of JSON for each case.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from nncompare.backends.base import Backend
from nncompare.errors import Refused, UsageError
from nncompare.testing.case import Case
from nncompare.testing.cases import CASES
from nncompare.testing.check import Check
from nncompare.testing.checks import judge
from nncompare.testing.observe import observe
from nncompare.testing.target import find_target

SHOWN = 12
"""Failed comparisons that are printed of one case."""


def run_case(backend: Backend, case: Case, runtime: str) -> dict[str, Any]:
    """Puts a backend through a case and judges what it did.

    Returns:
        One line of the report: ``{"case", "seconds", "error", "refused", "checks": [{"quantity",
        "what", "worst", "tolerance", "passed"}]}``. ``error`` is a traceback or None, ``refused``
        the backend's reason or None, ``worst`` None where nothing could be compared.
    """
    start = time.perf_counter()
    checks: list[Check] = []
    error = None
    refused = None
    try:
        checks = judge(case, observe(backend, case, runtime))
    except Refused as refusal:
        refused = str(refusal)
    except Exception:
        error = traceback.format_exc()
    return {
        "case": case.name,
        "seconds": round(time.perf_counter() - start, 3),
        "error": error,
        "refused": refused,
        "checks": [_line(check) for check in checks],
    }


def _line(check: Check) -> dict[str, Any]:
    # infinity is no JSON: null stands for what cannot be compared
    worst = check.worst if abs(check.worst) < float("inf") else None
    return {
        "quantity": check.quantity,
        "what": check.what,
        "worst": worst,
        "tolerance": check.tolerance,
        "passed": bool(check.passed),
    }


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 if every case passed or was refused with a reason, 1 if one failed or none passed,
    2 for wrong usage. Of nncompare's own backends a refusal is a failure, too.
    """
    parser = argparse.ArgumentParser(
        prog="python -m nncompare.testing.worker",
        description="Compares a backend with the float64 formulas, case by case.",
    )
    parser.add_argument(
        "backend", help="a runtime such as torch, or mypackage.mybackend:BACKEND for any other"
    )
    parser.add_argument(
        "--only", nargs="*", default=[], help="cases whose name contains one of these"
    )
    parser.add_argument(
        "--cases", nargs="*", default=[], help="cases of exactly these names, besides those"
    )
    parser.add_argument("--report", type=Path, help="file that gets one line of JSON a case")
    asked = parser.parse_args(arguments)
    try:
        target = find_target(asked.backend)
    except UsageError as error:
        parser.error(str(error))
    if target.missing is not None:
        print(f"{target.name}: {target.missing}")
        return 2

    # before the framework is imported: it reads them then
    os.environ.update(target.environment)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    backend = target.load()
    # a session that collects garbage when it closes need not look at a whole framework each time
    gc.freeze()

    chosen = [case for name, case in CASES.items() if _is_chosen(name, asked.only, asked.cases)]
    failed = 0
    refused = 0
    for case in chosen:
        line = run_case(backend, case, target.runtime)
        failed += _show(line)
        refused += line["refused"] is not None
        if asked.report:
            with asked.report.open("a") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
    passed = len(chosen) - failed - refused
    words = f", {refused} refused" if refused else ""
    print(f"{target.name}: {passed} of {len(chosen)} cases passed{words}")
    # nncompare's own backends have everything
    broken = failed or (refused and target.is_own)
    return 1 if broken or not passed else 0


def _is_chosen(name: str, only: list[str], exactly: list[str]) -> bool:
    if not only and not exactly:
        # nothing was asked for in particular
        return True
    return name in exactly or any(part in name for part in only)


def _show(line: dict[str, Any]) -> bool:
    """Prints what failed in a case; True if anything did."""
    case = line["case"]
    if line["error"]:
        print(f"{case}: ERROR\n{line['error']}", flush=True)
    if line["refused"]:
        print(f"{case}: refused: {line['refused']}", flush=True)
    wrong = [check for check in line["checks"] if not check["passed"]]
    for check in wrong[:SHOWN]:
        worst = "not comparable"
        if check["worst"] is not None:
            worst = f"{check['worst']:.2e} > {check['tolerance']:.0e}"
        print(f"{case}: {check['quantity']}: {check['what']}: {worst}", flush=True)
    if len(wrong) > SHOWN:
        print(f"{case}: and {len(wrong) - SHOWN} more", flush=True)
    return bool(wrong or line["error"])


if __name__ == "__main__":
    sys.exit(main())
