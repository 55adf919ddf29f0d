"""A folder to run in with workers that train nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nncompare.launch import run_worker, trials
from tests import fake_worker
from tests.running import TINY


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with ``tiny.yaml`` and workers that train nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "NNCOMPARE_DATA_DIR", fake_worker.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(run_worker, "worker_command", fake_worker.command)
    monkeypatch.setattr(trials, "worker_command", fake_worker.command)
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """How the workers are to behave: ``behave(torch="crash")``."""
    return lambda **runtimes: monkeypatch.setenv(fake_worker.VARIABLE, json.dumps(runtimes))
