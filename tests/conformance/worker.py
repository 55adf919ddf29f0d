"""Runs the suite for one runtime in this process: ``python -m tests.conformance.worker torch --only
layer/dense``.

Prints what failed; with ``--report FILE`` writes one JSON document a line, one line a case.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from nncompare.backends.base import Backend
from nncompare.spec.runtimes import CATALOG
from tests.conformance.cases import CASES, Case
from tests.conformance.checks import Check, judge
from tests.conformance.observe import observe


def run_case(backend: Backend, case: Case, runtime: str) -> dict[str, Any]:
    """One line of the report: ``{"case", "seconds", "error", "checks": [{"quantity", "what",
    "worst", "gate"}]}``. ``error`` is a traceback or null.
    """
    start, checks, error = time.perf_counter(), list[Check](), None
    try:
        checks = judge(case, observe(backend, case, runtime))
    except Exception:
        error = traceback.format_exc()
    seconds = round(time.perf_counter() - start, 3)
    # infinity is no JSON: null stands for what cannot be compared
    listed = [
        {
            "quantity": check.quantity,
            "what": check.what,
            "worst": check.worst if abs(check.worst) < float("inf") else None,
            "gate": check.gate,
            "passed": bool(check.passed),
        }
        for check in checks
    ]
    return {"case": case.name, "seconds": seconds, "error": error, "checks": listed}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtime", choices=list(CATALOG))
    parser.add_argument(
        "--only", nargs="*", default=[], help="cases whose name contains one of these"
    )
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args(arguments)
    entry = CATALOG[asked.runtime]
    os.environ.update(entry.environment)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if reason := entry.missing():
        print(f"{asked.runtime}: {reason}")
        return 2
    backend: Backend = importlib.import_module(entry.module).BACKEND
    # a session that collects garbage when it closes need not look at a whole framework each time
    gc.freeze()
    chosen = [
        case
        for name, case in CASES.items()
        if not asked.only or any(part in name for part in asked.only)
    ]
    failed = 0
    for case in chosen:
        line = run_case(backend, case, asked.runtime)
        failed += _show(line)
        if asked.report:
            with asked.report.open("a") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
    print(f"{asked.runtime}: {len(chosen) - failed} of {len(chosen)} cases passed")
    return 1 if failed or not chosen else 0


def _show(line: dict[str, Any]) -> bool:
    """Prints what failed in a case; True if anything did."""
    wrong = [check for check in line["checks"] if not check["passed"]]
    if line["error"]:
        print(f"{line['case']}: ERROR\n{line['error']}", flush=True)
    for check in wrong[:12]:
        worst = (
            "not comparable"
            if check["worst"] is None
            else f"{check['worst']:.2e} > {check['gate']:.0e}"
        )
        print(f"{line['case']}: {check['quantity']}: {check['what']}: {worst}", flush=True)
    if len(wrong) > 12:
        print(f"{line['case']}: and {len(wrong) - 12} more", flush=True)
    return bool(wrong or line["error"])


if __name__ == "__main__":
    sys.exit(main())
