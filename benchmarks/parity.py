"""Certifies every experiment of ``configs/`` and writes the worst figures into ``docs/parity.md``.

``python -m benchmarks.parity`` checks all of them (a quarter of an hour on two cores, half of it
for the two of text); name files to check only these, ``--write`` to put the table into the page.
Exit code 1 if an experiment is not certified. MNIST and the text are found as in a run:
``NNCOMPARE_DATA_DIR``, the cache, or a download.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from nncompare.config.load import load
from nncompare.data import signature
from nncompare.studies.verify.record import VerifyRecord
from nncompare.studies.verify.study import verify

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "parity.md"
MARKS = ("<!-- figures: begin (python -m benchmarks.parity --write) -->", "<!-- figures: end -->")

COLUMNS: tuple[tuple[str, str, bool, tuple[str, ...]], ...] = (
    ("forward", "float64", False, ("forward", "forward, training")),
    ("gradient, differences", "float64", False, ("gradient",)),
    ("gradient, pairs", "float64", True, ("gradient",)),
    ("update", "float64", False, ("update",)),
    ("loss, every step", "float64", True, ("loss, every step",)),
    ("weights", "float64", True, ("weights", "weights after step 1")),
    ("logits", "float64", True, ("logits",)),
    ("forward, float32", "float32", False, ("forward", "forward, training")),
    ("first loss, float32", "float32", False, ("loss",)),
)
"""Head, dtype, whether it is between runtimes, and the quantities of which the worst figure stands
there.
"""


def row(file: Path, result: VerifyRecord) -> list[str]:
    """One line of the table: the worst figure over all runtimes, or over all pairs of them."""
    judges = ("formula", "differences", "itself")
    cells = [f"`{file.stem}`", result.status]
    for _, dtype, pairs, quantities in COLUMNS:
        worst = [
            check.worst
            for check in result.checks
            if check.dtype == dtype
            and check.quantity in quantities
            and (check.against not in judges) == pairs
        ]
        known = [figure for figure in worst if math.isfinite(figure)]
        cells.append(f"{max(known):.0e}" if known and len(known) == len(worst) else "n/a")
    return cells


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows in Markdown."""
    heads = ["experiment", "status", *(head for head, *_ in COLUMNS)]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def versions(result: VerifyRecord) -> str:
    """The versions that were checked, for the line under the table."""
    found = {
        f"{name} {version}" for item in result.runtimes for name, version in item.versions.items()
    }
    return ", ".join(sorted(found, key=str.lower))


def write(text: str) -> None:
    """Puts the text between the marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = (re.escape(mark) for mark in MARKS)
    PAGE.write_text(
        re.sub(f"{begin}.*{end}", lambda _: f"{MARKS[0]}\n{text}\n{MARKS[1]}", page, flags=re.S),
        encoding="utf-8",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="default: all of configs/")
    parser.add_argument("--write", action="store_true", help="write the table into docs/parity.md")
    asked = parser.parse_args(arguments)
    files = asked.files or sorted((ROOT / "configs").glob("*.yaml"))
    rows, result = [], None
    for file in files:
        result = verify(load(file, (), signature_of=signature), output=None).record
        rows.append(row(file, result))
        print(f"{file.stem}: {result.status} in {result.seconds:.0f} s", flush=True)
    text = table(rows)
    if result is not None:
        text += f"\n\n{result.steps} steps; {versions(result)}, on the CPU."
    print(text)
    if asked.write:
        write(text)
    return 0 if all(cells[1] == "certified" for cells in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
