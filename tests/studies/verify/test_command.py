"""``nncompare verify`` end to end, the certificate's memory, and the short form inside a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from nncompare.cli import call
from nncompare.config.load import load
from nncompare.data import signature
from nncompare.errors import UsageError
from nncompare.studies.verify import certificates
from nncompare.studies.verify.record import VerifyRecord
from nncompare.studies.verify.study import verify

ODD = """\
name: odd
data: {name: digits}
model:
  layers:
    - {type: conv2d, filters: 3, kernel: 3, stride: 2, padding: same}
    - {type: batch_norm}
    - {type: leaky_relu}
    - {type: residual, layers: [{type: conv2d, filters: 3, kernel: 3, padding: same}, {type: gelu}]}
    - {type: reshape, shape: [-1, 3]}
    - {type: attention, heads: 3}
    - {type: gru, units: 4}
    - {type: dropout, rate: 0.3}
    - {type: dense, units: 10}
train:
  batch_size: 64
  optimizer: {name: sgd, lr: 0.05, momentum: 0.9}
  schedule: {name: cosine}
  clip_norm: 1.0
  penalty: {l2: 1e-3}
"""
SMALL = """\
name: small
data: {name: random, shape: [6], outputs: 3, examples: 200}
model: {layers: [{type: dense, units: 5}, {type: batch_norm}, {type: leaky_relu}, {type: dense, units: 3}]}
train: {epochs: 1, batch_size: 32}
backends: [torch]
"""


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "nncompare", *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
@pytest.mark.needs_keras
@pytest.mark.timeout(300)
class TestCertificate:
    @pytest.fixture(scope="class")
    @staticmethod
    def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
        folder = tmp_path_factory.mktemp("verify")
        (folder / "odd.yaml").write_text(ODD)
        arguments = ("--json", "--steps", 44, "--dtype", "float64", "--output", folder / "out")
        return command("verify", "odd.yaml", *arguments, cwd=folder)

    @pytest.fixture(scope="class")
    @staticmethod
    def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        return json.loads(done.stdout)

    def test_a_model_nobody_tried_is_certified(self, done, document):
        assert document["status"] == "certified", done.stderr
        assert done.returncode == 0
        assert [row["status"] for row in document["runtimes"]] == ["ok"] * 3

    def test_every_quantity_of_every_runtime_and_pair_is_there(self, document):
        by_formula = {
            (c["runtime"], c["quantity"]) for c in document["checks"] if c["against"] == "formula"
        }
        for runtime in ("torch", "tensorflow", "keras"):
            for quantity in (
                "forward",
                "forward, training",
                "loss",
                "update",
                "running statistics",
                "logits",
            ):
                assert (runtime, quantity) in by_formula
        names = {row["runtime"] for row in document["runtimes"]}
        losses = [check for check in document["checks"] if check["quantity"] == "loss, every step"]
        pairs = {
            (check["runtime"], check["against"]) for check in losses if check["against"] in names
        }
        assert pairs == {("tensorflow", "torch"), ("keras", "torch"), ("keras", "tensorflow")}

    def test_no_figure_is_missing_and_all_lie_far_below_their_gates(self, document):
        for check in document["checks"]:
            assert check["passed"]
            assert check["worst"] is not None
            assert check["worst"] <= check["gate"] / 2

    def test_dead_tensors_are_named(self, document):
        assert {"conv2d_1.bias", "attention_1.key_bias"} <= set(document["dead"])

    def test_the_stored_document_is_the_printed_one(self, done, document):
        folder = Path(done.args[-1]) / document["id"]
        assert json.loads((folder / "result.json").read_text()) == document
        assert VerifyRecord.model_validate(document).status == "certified"
        assert load(folder / "experiment.yaml", (), signature_of=signature).name == "odd"
        assert {path.name for path in (folder / "logs").iterdir()} >= {
            "torch-float64.log",
            "keras-float64.log",
        }

    def test_people_read_the_verdict_on_stderr(self, done):
        assert "CERTIFIED: torch, tensorflow and keras compute the same function." in done.stderr
        assert "\x1b" not in done.stderr
        assert "trajectory" in done.stderr


@pytest.mark.needs_torch
class TestOneRuntime:
    def test_both_dtypes_by_the_formulas_alone(self, small, tmp_path):
        done = command(
            "verify",
            small,
            "--steps",
            20,
            "--json",
            "--output",
            tmp_path / "out",
            "-q",
            cwd=tmp_path,
        )
        document = json.loads(done.stdout)
        assert done.returncode == 0, done.stderr
        assert {check["dtype"] for check in document["checks"]} == {"float64", "float32"}
        assert "CERTIFIED: torch computes what the formulas say." in done.stderr

    def test_native_reports_and_does_not_fail(self, small, tmp_path):
        arguments = (
            "train.convention=native",
            "train.clip_norm=0.01",
            "--steps",
            20,
            "--json",
            "-q",
        )
        done = command("verify", small, *arguments, "--output", tmp_path / "out", cwd=tmp_path)
        document = json.loads(done.stdout)
        assert done.returncode == 0, done.stderr
        assert document["status"] == "certified"
        found = {change["quantity"]: change for change in document["changes"]}
        assert found["update by adam"]["looks_like"] == "clipping by: global norm + 1e-06"
        assert found["weights"]["at_end"] > 0

    def test_a_run_checks_itself(self, small, tmp_path):
        done = command("run", small, "--json", "-q", "--output", tmp_path / "out", cwd=tmp_path)
        parity = json.loads(done.stdout)["parity"]
        assert done.returncode == 0, done.stderr
        assert (parity["status"], parity["form"]) == ("certified", "quick")
        assert {check["quantity"] for check in parity["checks"]} >= {
            "round trip",
            "forward",
            "loss",
        }


def test_a_missing_runtime_is_no_certificate(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nncompare.spec.runtimes.importlib.util.find_spec", lambda name: None)
    code = call(
        [
            "verify",
            str(small),
            "-b",
            "torch",
            "--steps",
            "20",
            "--output",
            str(tmp_path / "out"),
            "-q",
        ]
    )
    text = " ".join(capsys.readouterr().out.split())
    assert code == 3
    assert 'not installed: torch; pip install "torch>=2.7"' in text
    assert "CERTIFIED" not in text


def test_a_model_too_large_for_memory_is_an_error(small, tmp_path, monkeypatch):
    few = type("Memory", (), {"available": 2**20, "total": 2**30})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: few)
    with pytest.raises(
        UsageError, match=r"about .* GiB of memory, and 0.0 GiB are free; make the model"
    ):
        verify(load(small, (), signature_of=signature), output=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dtype", "float16"], "allowed are both, float64"),
        (["--steps", "0"], "--steps"),
        (["--steps", "1000000000000"], "--steps 1000000000000: at most 100,000"),
        (["-b", "troch"], "did you mean"),
        (["train.optimizer.lr=-1"], "train.optimizer.lr"),
    ],
)
def test_bad_input(small, tmp_path, arguments, message, capsys):
    assert call(["verify", str(small), *arguments, "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


class TestMemory:
    """A certificate is recalled for the very same experiment, versions and sources, and for nothing
    else.
    """

    VERSIONS = {"torch": {"torch": "2.0"}, "keras": {"keras": "3.0", "tensorflow": "2.0"}}

    @pytest.fixture
    def experiment(self, small):
        return load(small, (), signature_of=signature)

    @pytest.fixture
    def known(self, experiment, tmp_path):
        folder = tmp_path / "certificates"
        certificates.remember(
            folder, experiment, versions=self.VERSIONS, created="2026-01-02", id="x", steps=200
        )
        return folder

    def test_the_same(self, experiment, known):
        assert certificates.recall(known, experiment, self.VERSIONS) == "2026-01-02"

    def test_fewer_runtimes(self, experiment, known):
        assert certificates.recall(known, experiment, {"torch": {"torch": "2.0"}}) == "2026-01-02"

    def test_the_other_dtype(self, small, known):
        experiment = load(small, ("train.dtype=float64",), signature_of=signature)
        assert certificates.recall(known, experiment, self.VERSIONS) == "2026-01-02"

    @pytest.mark.parametrize(
        "versions", [{}, {"torch": {"torch": "2.1"}}, {"tensorflow": {"tensorflow": "2.0"}}]
    )
    def test_other_versions(self, experiment, known, versions):
        assert certificates.recall(known, experiment, versions) is None

    @pytest.mark.parametrize(
        "change", ["train.optimizer.lr=2e-3", "train.seed=1", "model.layers.0.units=6"]
    )
    def test_another_experiment(self, small, known, change):
        experiment = load(small, (change,), signature_of=signature)
        assert certificates.recall(known, experiment, self.VERSIONS) is None

    def test_other_sources(self, experiment, known, monkeypatch):
        monkeypatch.setattr(certificates, "_source_digest", lambda: "other")
        assert certificates.recall(known, experiment, self.VERSIONS) is None

    def test_a_damaged_file_is_forgotten(self, experiment, known):
        next(known.iterdir()).write_text("{")
        assert certificates.recall(known, experiment, self.VERSIONS) is None
