"""``nncompare run`` as a user starts it, with the frameworks, on the smallest experiment."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import nncompare
from nncompare.config.load import load
from tests.running import CONTROL, PROGRESS, THREE, TINY, files, stored, strict


@dataclass(frozen=True)
class Real:
    """What the real command left behind."""

    folder: Path
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = strict(self.out)
        return document

    @property
    def result(self) -> Path:
        (found,) = (self.folder / "results").iterdir()
        return found


def really(folder: Path, *arguments: str) -> Real:
    """``nncompare run tiny.yaml …`` as a user starts it, with the frameworks."""
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    command = [sys.executable, "-m", "nncompare", "run", "tiny.yaml", "--json", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )
    return Real(folder=folder, code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    """One run on all three frameworks for all tests: their imports take seconds."""
    return really(
        tmp_path_factory.mktemp("real"), "--save-weights", "--threads", "1", "train.dtype=float64"
    )


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
@pytest.mark.needs_keras
class TestReal:
    def test_every_backend_finishes(self, real: Real) -> None:
        assert real.code == 0, real.err
        assert {
            row["runtime"]: row["status"] for row in real.document["runtimes"]
        } == dict.fromkeys(THREE, "ok")
        assert real.document == stored(real.folder)

    def test_the_losses_are_the_same(self, real: Real) -> None:
        torch, *others = (
            [row["train_loss"] for row in runtime["history"]]
            for runtime in real.document["runtimes"]
        )
        assert len(torch) == 3
        for losses in others:
            assert losses == pytest.approx(torch, rel=1e-12, abs=0)

    def test_they_are_certified(self, real: Real) -> None:
        assert real.document["parity"]["status"] == "certified", real.err
        assert "Parity: certified" in real.err

    def test_accuracy_counts_examples_of_the_test_part(self, real: Real) -> None:
        correct = [row["final"]["test_accuracy"] * 359 for row in real.document["runtimes"]]
        assert correct == pytest.approx([round(correct[0])] * 3, abs=1e-9)
        assert correct[0] > 359 / 2

    def test_the_terminal_hears_no_framework(self, real: Real) -> None:
        lines = real.err[: real.err.index("tiny  digits")].splitlines()
        assert all(PROGRESS.fullmatch(line) for line in lines)
        assert CONTROL.search(real.err) is None

    def test_the_folder_is_complete(self, real: Real) -> None:
        names = {
            str(path.relative_to(real.result)) for path in files(real.result) if path.is_file()
        }
        kept = {f"logs/{name}.log" for name in THREE} | {
            f"weights/{name}.safetensors" for name in THREE
        }
        assert names == {"experiment.yaml", "result.json", "slices.csv", "history.csv", *kept}
        steps = Counter[str]()
        with (real.result / "slices.csv").open() as lines:
            for sample in csv.DictReader(lines):
                steps[sample["runtime"]] += int(sample["end"]) - int(sample["begin"])
        assert steps == dict.fromkeys(THREE, 27)

    def test_final_weights_agree(self, real: Real) -> None:
        from safetensors.numpy import load_file

        weights = [load_file(real.result / "weights" / f"{name}.safetensors") for name in THREE]
        assert {name: array.shape for name, array in weights[0].items()} == {
            "dense_1.kernel": (64, 8), "dense_1.bias": (8,), "dense_2.kernel": (8, 10), "dense_2.bias": (10,)
        }  # fmt: skip
        for other in weights[1:]:
            assert all(abs(other[name] - array).max() < 1e-10 for name, array in weights[0].items())

    def test_the_stored_experiment_is_the_one_that_was_run(self, real: Real) -> None:
        again = load(real.result / "experiment.yaml")
        assert again.model_dump(mode="json", exclude_none=True) == real.document["experiment"]

    def test_python_reads_the_same_figures(self, real: Real) -> None:
        run = nncompare.read(real.result)
        assert run.to_dict() == real.document
        assert run["keras"].final.test_loss == real.document["runtimes"][2]["final"]["test_loss"]


@pytest.mark.needs_torch
def test_a_rate_that_is_too_large_diverges_and_the_json_stays_valid(tmp_path: Path) -> None:
    run = really(tmp_path, "-b", "torch", "train.optimizer={name: sgd, lr: 1e30}")
    assert run.code == 3, run.err
    (row,) = run.document["runtimes"]
    assert (row["status"], row["final"]["test_loss"]) == ("diverged", None)
    assert re.match(r"loss is (nan|inf) in steps \d+ to \d+ \(epoch 1\)", row["reason"])
    assert row["reason"] in run.err
