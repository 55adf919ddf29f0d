"""A native session is the code that a user of the framework writes, and what a backend says of it
in words is true. That it computes what its backend declares is for the conformance suite and
``nncompare verify`` to say.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nncompare.backends.native import open_values
from nncompare.records.ledger import ledger
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.layers import LAYERS
from nncompare.spec.runtimes import CATALOG, DEFAULT_RUNTIMES
from nncompare.spec.training import OPTIMIZERS
from tests.native.cases import NETWORKS
from tests.running import ROOT

TIMEOUT_S = 600
GATE = 1e-12
OPEN = open_values()
PARTS: dict[str, Any] = {**LAYERS, **OPTIMIZERS}
Seen = Callable[[str, str], Any]
"""A backend's name, and a key of what ``worker`` writes -> what stands there."""

every_backend = pytest.mark.parametrize(
    "backend",
    [pytest.param(name, marks=getattr(pytest.mark, f"needs_{name}")) for name in DEFAULT_RUNTIMES],
)
# the first test waits for the workers
pytestmark = pytest.mark.timeout(TIMEOUT_S + 60)


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Starts all workers at once; the first question to one of them waits for it."""
    folder = tmp_path_factory.mktemp("native")
    running = {
        name: _start(name, folder) for name in DEFAULT_RUNTIMES if CATALOG[name].missing() is None
    }

    def look(backend: str, key: str) -> Any:
        if reason := CATALOG[backend].missing():
            pytest.skip(reason)
        code = running[backend].wait(TIMEOUT_S)
        assert code == 0, (folder / f"{backend}.log").read_text(errors="replace")[-3000:]
        return json.loads((folder / f"{backend}.json").read_text())[key]

    yield look
    for worker in running.values():
        if worker.poll() is None:
            worker.kill()
            worker.wait()


def _start(name: str, folder: Path) -> subprocess.Popen[bytes]:
    own = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.native.worker", name, str(folder / f"{name}.json")]
    with (folder / f"{name}.log").open("wb") as log:
        environment = {**os.environ, **CATALOG[name].environment, **own}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


@every_backend
@pytest.mark.parametrize("case", NETWORKS)
def test_trains_like_plain_framework_code(seen: Seen, backend: str, case: str) -> None:
    """Initial weights, layers, defaults, optimizer: the loss of every step and the logits after."""
    found = seen(backend, case)
    ours, twin = found["ours"], found["twin"]
    assert len(ours["losses"]) == 6
    assert ours["losses"] == pytest.approx(twin["losses"], rel=GATE)
    for row, wanted in zip(ours["logits"], twin["logits"], strict=True):
        assert row == pytest.approx(wanted, abs=GATE)
    # the power of it: by far more than the gate has changed
    assert max(twin["losses"]) - min(twin["losses"]) > 1e-5


@every_backend
def test_every_open_value_has_a_native_default(seen: Seen, backend: str) -> None:
    assert set(seen(backend, "defaults")) == set(OPEN)


@every_backend
def test_the_page_has_the_right_defaults(seen: Seen, backend: str) -> None:
    """The table "Values" of docs/native.md, which ``python docs/generate_defaults.py`` writes; what
    it does not list is equal everywhere.
    """
    page = (ROOT / "docs" / "native.md").read_text(encoding="utf-8")
    column = 1 + DEFAULT_RUNTIMES.index(backend)
    found = seen(backend, "defaults")
    listed = {}
    for line in page.partition("## Values")[2].partition("## ")[0].splitlines():
        if "| `" in line:
            cells = line.strip("| ").split(" | ")
            listed[cells[0].strip("`")] = cells[column].split()[0]
    assert listed.keys() <= set(OPEN)
    assert len(listed) > 8
    for name in OPEN:
        kind, _, field = name.partition(".")
        default = PARTS[kind].model_fields[field].default
        text = listed.get(name, str(default))
        value = text in ("yes", "True") if isinstance(default, bool) else float(text)
        assert found[name] == pytest.approx(value), name


# --- initial weights


@every_backend
def test_weights_start_as_the_ledger_says(seen: Seen, backend: str) -> None:
    settings = seen(backend, "native")["settings"]
    found = seen(backend, "native")["figures"]
    assert len(found) >= 27
    for name, figure in found.items():
        # of two kernels of one kind the file names the start of the second
        own, _, named = settings[f"{figure['kind']} starts"].partition(" and ")
        words = named if name == "dense_2.kernel" else own
        kernel = found.get(name.replace("bias", "kernel"), figure)["shape"]
        _check_start(name, words, figure, kernel)


def _check_start(name: str, words: str, figure: dict[str, Any], kernel: list[int]) -> None:
    """One parameter's figures, next to the shape of the kernel that belongs to it."""
    if words == "normal, deviation 1":
        assert figure["deviation"] == pytest.approx(1, rel=0.1), name
        assert figure["largest"] > 2.5, name
    elif words.startswith("orthogonal"):
        assert figure["not orthogonal"] < 1e-6, name
    elif words == "zeros, forget gate 1":
        assert figure["values"] == [0.0] * 40 + [1.0] * 40 + [0.0] * 80, name
    elif words in ("zeros", "ones"):
        assert figure["largest"] == (words == "ones"), name
        assert figure["deviation"] == 0, name
    else:
        limit = _limit(name, words, figure["shape"], kernel)
        assert figure["largest"] <= limit * (1 + 1e-6), (name, words)
        # fewer numbers say little of their distribution
        if math.prod(figure["shape"]) >= 16:
            uniform = limit / math.sqrt(3)
            assert figure["deviation"] == pytest.approx(uniform, rel=0.3), (name, words)


def _limit(name: str, words: str, shape: list[int], kernel: list[int]) -> float:
    """Of a uniform distribution around zero."""
    if "attention" in name:
        # its projections go from 64 features to 64, whatever the shape of its heads
        kernel = shape = [64, 64]
    fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
    match words:
        case "nncompare's uniform 0.5":
            return 0.5
        case "uniform, ±0.05":
            return 0.05
        case "uniform, ±1/sqrt(fan_in)":
            return 1 / math.sqrt(math.prod(kernel[:-1]))
        case "uniform, ±1/sqrt(units)":
            return 1 / math.sqrt(64 if "rnn" in name else 40)
        case "xavier_uniform" | "xavier_uniform, all gates as one matrix":
            return math.sqrt(6 / (fan_in + fan_out))
        case "xavier_uniform of all three":
            return math.sqrt(6 / (64 + 3 * 64))
    raise NotImplementedError(words)


# --- the ledger


HARMLESS = {
    "engine",
    "compiled",
    "optimizer implementation",
    "recurrent kernel",
    "attention kernel",
    "onednn",
}
"""What may differ in the aligned convention: how, not what, is computed."""


def _differences(seen: Seen, convention: str) -> set[str]:
    """The settings that stand in the ledger of the three."""
    rows = [
        TrainedRuntime(runtime=name, status="ok", settings=seen(name, convention)["settings"])
        for name in DEFAULT_RUNTIMES
    ]
    return {entry.setting for entry in ledger(rows)} - HARMLESS


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
@pytest.mark.needs_keras
def test_the_aligned_ledger_holds_nothing_that_touches_the_mathematics(seen: Seen) -> None:
    assert _differences(seen, "aligned") == set()
    # and what could differ was compared
    told = set(seen("torch", "aligned")["settings"])
    assert {"tf32", "threads", "flush denormals", "initial weights"} <= told
    assert {"optimizer lr", "clipping by", "l2", "batch_norm epsilon"} <= told


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
@pytest.mark.needs_keras
def test_the_native_ledger_holds_what_the_frameworks_differ_in(seen: Seen) -> None:
    found = _differences(seen, "native")
    assert {"optimizer rho", "epsilon placement", "mean square starts at", "l2"} <= found
    assert {"batch_norm running variance", "lstm trained biases", "clipping by"} <= found
    assert {"embedding.table starts", "lstm.recurrent_bias starts", "flush denormals"} <= found
