"""Whatever nncompare reads is data: a pickle that is planted in a file never runs."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import nncompare
from nncompare.cli import call
from nncompare.config.load import load
from nncompare.data import base, signature
from nncompare.data.digits import Digits
from nncompare.data.idx import read_idx
from nncompare.errors import NncompareError
from nncompare.studies.tune.cma_es import CmaEsSampler
from nncompare.studies.tune.storage import open_journal
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.wire import job_folder, observation
from tests.running import ROOT, TINY


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.fixture
def bomb(tmp_path: Path) -> Bomb:
    return Bomb(tmp_path / "it-ran")


def test_the_bomb_goes_off(bomb: Bomb) -> None:
    pickle.loads(pickle.dumps(bomb))
    assert bomb.mark.exists()


def study_with_a_bomb(path: Path, bomb: Bomb) -> StoredStudy:
    """Twelve trials by CMA-ES, and the state of its optimizer from elsewhere."""
    study = StoredStudy.open_or_create(open_journal(path), "tiny/torch", ["minimize"], {})
    for number in range(12):
        taken = study.take_next([{}] * 20)
        assert taken is not None
        draw(study, CmaEsSampler(study, seed=number, startup_trials=2))
        if number == 5:
            study.set_system_attribute(number, "cma:optimizer:0", pickle.dumps(bomb).hex())
        study.optuna_study().tell(number, float(number))
    return study


def draw(study: StoredStudy, sampler: optuna.samplers.BaseSampler) -> None:
    """Two numbers for the trial that runs."""
    (running,) = study.trials(TrialState.RUNNING)
    view = study.optuna_study(sampler=sampler)
    trial = optuna.trial.Trial(view, study.trial_id(running.number))
    for name in ("x", "y"):
        trial.suggest_float(name, 0.0, 1.0)


def test_a_stored_optimizer_is_not_read_where_optunas_sampler_reads_it(
    tmp_path: Path, bomb: Bomb
) -> None:
    study = study_with_a_bomb(tmp_path / "study.journal", bomb)
    study.take_next([{}] * 20)
    draw(study, CmaEsSampler(study, seed=1, startup_trials=2))
    assert not bomb.mark.exists()
    # the test's own test
    study.optuna_study().tell(12, 0.5)
    study.take_next([{}] * 20)
    theirs = optuna.samplers.CmaEsSampler(seed=1, n_startup_trials=2)
    draw(study, theirs)
    assert bomb.mark.exists()


def test_a_search_does_not_go_on_with_a_journal_that_holds_one(
    tmp_path: Path, bomb: Bomb, capsys: pytest.CaptureFixture[str]
) -> None:
    section = "{sampler: cmaes, parameters: {train.optimizer.lr: {min: 0.001, max: 0.1}, "
    section += "model.dropout: {min: 0.0, max: 0.5}}}"
    (tmp_path / "tiny.yaml").write_text(f"{TINY}backends: [torch]\ntune: {section}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nncompare.spec.runtimes.Runtime.missing", lambda _: "not installed here")
        found = nncompare.tune(tmp_path / "tiny.yaml", output=tmp_path / "results")
    assert found.folder is not None
    path = found.folder / "study.journal"
    study_with_a_bomb(path, bomb)
    texts = path.read_text().splitlines()
    (line,) = [number for number, text in enumerate(texts, 1) if "cma:optimizer" in text]
    capsys.readouterr()
    assert call(["tune", "--resume", str(found.folder)]) == 2
    said = capsys.readouterr().err
    assert f"study.journal:{line}: the system attribute 'cma:optimizer:0' holds a pickle" in said
    assert not bomb.mark.exists()


def plant_arrays(folder: Path, bomb: Bomb) -> None:
    for part in base.PARTS:
        for name in ("x", "y"):
            np.save(folder / f"{part}_{name}.npy", np.array([bomb]), allow_pickle=True)


def plant_observation(folder: Path, bomb: Bomb) -> None:
    arrays: dict[str, Any] = {"start_squares||dense_1.kernel": np.array([bomb])}
    np.savez(folder / observation.OBSERVATION_FILE, allow_pickle=True, **arrays)


def plant(name: str) -> Callable[[Path, Bomb], None]:
    def write(folder: Path, bomb: Bomb) -> None:
        (folder / name).write_bytes(pickle.dumps(bomb))

    return write


def plant_tag(name: str) -> Callable[[Path, Bomb], None]:
    def write(folder: Path, bomb: Bomb) -> None:
        tag = f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{bomb.mark}]]"
        (folder / name).write_text(f"{TINY}name: {tag}\n")

    return write


READS: dict[str, tuple[Callable[[Path, Bomb], None], Callable[[Path], object]]] = {
    "prepared arrays": (plant_arrays, lambda folder: base.read(folder, SIGNATURE)),
    "observation": (plant_observation, observation.read),
    "job": (plant(job_folder.JOB_FILE), job_folder.read),
    "result": (plant("result.json"), nncompare.read),
    "experiment": (plant("it.yaml"), lambda folder: load(folder / "it.yaml")),
    "experiment with a tag": (plant_tag("it.yaml"), lambda folder: load(folder / "it.yaml")),
    "images": (
        plant("images"),
        lambda folder: read_idx((folder / "images").read_bytes(), folder / "images", (28, 28)),
    ),
}
SIGNATURE = signature(Digits(name="digits"), "classification")


@pytest.mark.parametrize("name", READS)
def test_a_pickle_in_a_file_is_an_error_and_does_not_run(
    tmp_path: Path, bomb: Bomb, name: str
) -> None:
    write, read = READS[name]
    write(tmp_path, bomb)
    with pytest.raises((NncompareError, ValueError)):
        read(tmp_path)
    assert not bomb.mark.exists()


RUN_CODE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
EVALUATE = {"eval", "exec", "compile", "__import__"}


def suspects(path: Path) -> list[str]:
    """Places of a source file that could run what they read."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if RUN_CODE & {name.partition(".")[0] for name in names}:
            found.append(f"{path}:{node.lineno}: imports {names}")
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if called in EVALUATE:
                found.append(f"{path}:{node.lineno}: {called}")
            if called.endswith("np.load") and options.get("allow_pickle") != "False":
                found.append(f"{path}:{node.lineno}: {called} without allow_pickle=False")
            # multiprocessing's recv unpickles; recv_bytes does not
            if called.endswith((".recv", "torch.load", "load_model", "saved_model.load")):
                found.append(f"{path}:{node.lineno}: {called}")
            if called == "YAML" and options.get("typ") != "'safe'":
                found.append(f"{path}:{node.lineno}: YAML that may make objects")
    return found


def test_nothing_in_the_package_can_run_what_it_reads(tmp_path: Path) -> None:
    found = []
    for path in sorted((ROOT / "nncompare").rglob("*.py")):
        found += suspects(path)
    assert found == []
    # the test's own test
    lines = [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "np.load(path)",
        "torch.load(path)",
        "connection.recv()",
        "YAML(typ='unsafe')",
    ]
    (tmp_path / "bad.py").write_text("\n".join(lines))
    assert len(suspects(tmp_path / "bad.py")) == len(lines)
