"""Puts what ``nncompare run configs/digits_mlp.yaml`` prints into the README, between its markers.

Usage: ``python docs/generate_transcript.py`` on a quiet machine. It refuses if other programs were
    busy meanwhile,
since the times would be theirs; ``--anyway`` takes it as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from nncompare.studies.run.headline import BUSY

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMAND = "nncompare run configs/digits_mlp.yaml"
BEGIN, END = "<!-- transcript: begin", "<!-- transcript: end -->"
COLUMNS = 118
"""What a page shows without scrolling sideways."""


def transcript(output: Path) -> tuple[str, float]:
    """What the command prints on stdout, and the share of the processors that others took."""
    command = [sys.executable, "-m", *COMMAND.split(), "--output", str(output)]
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    (folder,) = output.iterdir()
    document = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    text = done.stdout.replace(str(folder), f"results/{folder.name}")
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines), document["environment"]["others_cpu_share"] or 0.0


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        text, share = transcript(Path(scratch))
    if share >= BUSY and "--anyway" not in sys.argv[1:]:
        sys.exit(
            f"other programs took {100 * share:.0f} % of the processors; try again on a quiet"
            " machine"
        )
    page = README.read_text(encoding="utf-8")
    head, rest = page[: page.index(BEGIN)], page[page.index(BEGIN) :]
    marker, tail = rest[: rest.index("\n")], rest[rest.index(END) :]
    block = f"```console\n$ {COMMAND}\n{text}\n```"
    README.write_text(f"{head}{marker}\n{block}\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
