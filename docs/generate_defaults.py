"""Writes the table "Values" of ``docs/native.md``: the defaults of every framework for what an
experiment file may leave open.

``python docs/generate_defaults.py`` asks every framework in a process of its own, so that all of
them must be installed. ``tests/native/test_native.py`` compares the page with the frameworks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nncompare.backends.native import open_values
from nncompare.spec.layers import LAYERS
from nncompare.spec.runtimes import CATALOG, DEFAULT_RUNTIMES
from nncompare.spec.training import OPTIMIZERS

PAGE = Path(__file__).with_name("native.md")
MARKS = ("<!-- values: begin (python docs/generate_defaults.py) -->", "<!-- values: end -->")
TITLES = {"torch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras"}
"""Runtime -> the head of its column; others go by their own names."""
PROBE = """
import json, sys
from nncompare.backends.loading import load_backend
print(json.dumps(load_backend(sys.argv[1]).defaults), file=sys.stderr)
"""


def of_framework(runtime: str) -> dict[str, Any]:
    """``batch_norm.epsilon`` -> the framework's default, as a fresh process reads it."""
    environment = {**os.environ, **CATALOG[runtime].environment}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, runtime],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # frameworks print warnings before it
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


def aligned(name: str) -> Any:
    """nncompare's own default for ``batch_norm.epsilon``."""
    kind, _, field = name.partition(".")
    part = LAYERS[kind] if kind in LAYERS else OPTIMIZERS[kind]
    return part.model_fields[field].default


def table(defaults: Mapping[str, Mapping[str, Any]]) -> str:
    """The table in Markdown, one row for every value that is not the same everywhere.

    Args:
        defaults: runtime -> what ``of_framework`` gives, one column each.
    """
    heads = ["value", *(TITLES.get(runtime, runtime) for runtime in defaults), "aligned"]
    rows = [heads, ["---"] * len(heads)]
    for name in open_values():
        values = [*(found[name] for found in defaults.values()), aligned(name)]
        if any(value != values[0] for value in values):
            rows.append([f"`{name}`", *(_word(value) for value in values)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if 0 < value < 0.01:
        mantissa, _, exponent = f"{value:.9e}".partition("e")
        return f"{float(mantissa):.10g}e{int(exponent)}"
    return f"{value:g}"


def main() -> None:
    """Puts the table between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = MARKS
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    written = table({runtime: of_framework(runtime) for runtime in DEFAULT_RUNTIMES})
    PAGE.write_text(f"{before}{begin}\n{written}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
