"""Every file in ``configs/`` is a valid experiment whose shapes fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from nncompare.data import signature
from nncompare.spec.experiment import Experiment
from tests.data import SHARED

FOLDER = Path(__file__).parents[2] / "configs"
FILES = sorted(FOLDER.glob("*.yaml"))
NAMES = {
    "adding_gru",
    "breast_cancer_mlp",
    "diabetes_mlp",
    "digits_mlp",
    "mnist_cnn",
    "mnist_mlp",
    "mnist_rows_lstm",
    "pattern_attention",
    "pattern_gru",
    "pattern_lstm",
    "text_lstm",
    "text_transformer",
}


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def test_all_are_there() -> None:
    assert {path.stem for path in FILES} >= NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_config_is_valid_and_its_shapes_fit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment.model_validate(read(path))
    assert experiment.name == path.stem.replace("_", "-")
    assert path.read_text(encoding="utf-8").startswith("# "), "a comment says what it shows"
    if experiment.data.name == "text":
        if not (SHARED / "tinyshakespeare").is_dir():
            pytest.skip("tinyshakespeare is not at hand")
        monkeypatch.setenv("NNCOMPARE_DATA_DIR", str(SHARED))
    model = experiment.resolve(signature(experiment.data, experiment.task))
    assert model.trainable_count > 0
