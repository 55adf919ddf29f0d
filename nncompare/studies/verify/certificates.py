"""Certificates that were given before: a run of the same experiment, code and versions need not be
checked again.

They lie in the user's cache folder, one small file an experiment. The key is made of everything
that decides the function: data, model, training, task, and the source code of nncompare's backends
and formulas, so that a certificate does not outlive a change of either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from nncompare.errors import StoreError
from nncompare.records.atomic import write_text
from nncompare.spec.experiment import Experiment

_SOURCES = ("backends", "numerics", "spec", "data", "wire", "worker")
"""Parts of nncompare that decide what is computed, or how it is looked at."""

Versions = Mapping[str, dict[str, str]]
"""Runtime -> versions."""


def remember(
    folder: Path, experiment: Experiment, *, versions: Versions, created: str, id: str, steps: int
) -> None:
    """Notes a full certificate. A cache that cannot be written is no error: the next run just does
    not know of it.
    """
    known = {"created": created, "id": id, "steps": steps, "versions": versions}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(_file(folder, experiment), json.dumps(known, indent=2) + "\n")
    except (OSError, StoreError):
        return


def recall(folder: Path, experiment: Experiment, versions: Versions) -> str | None:
    """When a certificate was given for this experiment and all of these runtimes in these versions
    (ISO 8601).
    """
    if not versions:
        return None
    try:
        known = json.loads(_file(folder, experiment).read_text(encoding="utf-8"))
        same = all(known["versions"][runtime] == found for runtime, found in versions.items())
        return str(known["created"]) if same else None
    # a damaged file, or a runtime that was not checked then
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(folder: Path, experiment: Experiment) -> Path:
    return folder / f"{key(experiment)}.json"


def key(experiment: Experiment) -> str:
    """What decides the function, as 32 hexadecimal digits. The dtype is no part of it: a
    certificate covers both.
    """
    parts = experiment.model_dump(mode="json", include={"task", "data", "model", "train"})
    parts["train"].pop("dtype", None)
    text = json.dumps(parts, sort_keys=True) + _source_digest()
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _source_digest() -> str:
    total = hashlib.sha256()
    root = Path(__file__).resolve().parents[2]
    # a formula or a backend that has changed since may compute something else
    for part in _SOURCES:
        for file in sorted((root / part).rglob("*.py")):
            total.update(str(file.relative_to(root)).encode())
            total.update(file.read_bytes())
    return total.hexdigest()
