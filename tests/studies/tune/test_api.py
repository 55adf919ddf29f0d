"""``nncompare.tune``: the search from Python, its figures, its pictures, and going on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import nncompare
from nncompare.errors import ConfigError, UsageError
from nncompare.records.reading import read_as
from nncompare.studies.tune.record import TuneRecord

CONFIG = """\
name: small
data: {name: digits}
model: {family: mlp, hidden: [16]}
train: {epochs: 2, batch_size: 256}
backends: [torch]
measure: {threads: 1}
tune:
  trials: 5
  startup_trials: 2
  parameters:
    train.optimizer.lr: {min: 1e-4, max: 1e-1, log: true}
    model.activation: [relu, tanh]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(CONFIG)
    return tmp_path / "small.yaml"


@pytest.mark.needs_torch
def test_a_search_from_python_goes_on_and_shows_itself(config: Path) -> None:
    found = nncompare.tune("small.yaml", "tune.trials=4")
    assert isinstance(found, nncompare.Tuned)
    assert found.complete
    assert found.folder is not None
    assert found.best is not None
    assert len(found.trials) == 4
    assert found.best.value == min(trial.values[0] for trial in found.trials if trial.values)
    assert found.to_dict() == read_as(found.folder, TuneRecord).model_dump(mode="json")
    assert (found.folder / "report.html").read_text(encoding="utf-8") == found.to_html()
    assert f"Best: trial {found.best.trial} on torch" in repr(found)
    assert "\x1b" not in repr(found)

    shown = found._repr_html_()
    assert "<script" not in shown
    assert shown.count("<svg") == shown.count("<figure>") == 5
    for title in (
        "History",
        "Importance",
        "Parallel coordinates",
        "Slices",
        "Values after every epoch",
    ):
        assert title in shown

    more = found.resume("tune.trials=5")
    assert more.folder == found.folder
    assert [trial.params for trial in more.trials[:4]] == [trial.params for trial in found.trials]
    assert len(more.trials) == 5
    with pytest.raises(UsageError, match=r"train\.epochs cannot be changed"):
        found.resume("train.epochs=9")
    with pytest.raises(ConfigError, match="there is no '=' in it"):
        found.resume("forty trials")
    assert not {"torch", "tensorflow", "keras"} & set(sys.modules)


@pytest.mark.needs_torch
def test_a_search_need_not_be_stored(config: Path) -> None:
    experiment = nncompare.load("small.yaml", "tune.trials=1")
    found = nncompare.tune(experiment, output=None)
    assert (found.folder, len(found.trials)) == (None, 1)
    assert not (config.parent / "results").exists()
    with pytest.raises(ValueError, match="not stored"):
        found.resume("tune.trials=2")
    with pytest.raises(TypeError, match=r"load\(\)"):
        nncompare.tune(experiment, "tune.trials=2")


def test_a_mistake_is_an_error_and_nothing_is_written(config: Path) -> None:
    with pytest.raises(ConfigError, match=r"tune\.trials"):
        nncompare.tune("small.yaml", "tune.trials=0")
    with pytest.raises(UsageError, match="at least 1"):
        nncompare.tune("small.yaml", jobs=0)
    with pytest.raises(UsageError, match="no tune: section"):
        nncompare.tune("small.yaml", "tune=null")
    assert not (config.parent / "results").exists()
