"""Prints what becomes of every planted error: ``python -m tests.mutations [NAME …]``. Exit 1 if one
is not found.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.mutations.laboratory import Laboratory
from tests.mutations.verdict import told


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(Path(folder), sys.argv[1:])
        try:
            wrong = 0
            for experiment, dtype in dict.fromkeys(
                (m.experiment, m.dtype) for m in laboratory.mutations if m.convention == "aligned"
            ):
                verdict = laboratory.unbroken(experiment, dtype)
                wrong += bool(verdict.failed or verdict.error)
                for check in verdict.failed[:3]:
                    print(f"unbroken {experiment} {dtype}: {check}")
                if verdict.error:
                    print(f"unbroken {experiment} {dtype}: {verdict.error}")
            print("| backend | error | experiment | found in | where | step | looks like |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
            for mutation in laboratory.mutations:
                lines, problem = told(mutation, laboratory.broken(mutation))
                print("\n".join(lines))
                if problem:
                    print(f"    ^^^ {problem}")
                wrong += bool(problem)
        finally:
            laboratory.close()
    print(f"{len(laboratory.mutations)} errors, {wrong} not found as they should")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
