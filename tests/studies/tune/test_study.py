"""The search itself, in real processes: ask, train, judge, tell, resume."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from nncompare.cli import call
from nncompare.config.load import load_mapping
from nncompare.data import signature
from nncompare.studies.tune.study import resume, tune

ROOT = Path(__file__).resolve().parents[3]
TORCH = pytest.param("torch", marks=pytest.mark.needs_torch)
OTHERS = [
    pytest.param("tensorflow", marks=pytest.mark.needs_tensorflow),
    pytest.param("keras", marks=pytest.mark.needs_keras),
]
LR = {"min": 1e-4, "max": 1e-1, "log": True}


def experiment(tmp_path, *, backends=("torch",), train=(), model=(), **section):
    """A small search on digits; a second or less after the import."""
    return load_mapping(
        {
            "name": "small",
            "data": {"name": "digits"},
            "model": {"family": "mlp", "hidden": [16], **dict(model)},
            "train": {"epochs": 2, "batch_size": 256, **dict(train)},
            "backends": list(backends),
            "measure": {"threads": 1},
            "tune": {
                "trials": 6,
                "sampler": "random",
                "parameters": {"train.optimizer.lr": LR},
                **section,
            },
        },
        signature_of=signature,
    )


def plain_study(folder, name):
    """As anybody opens it, without anything of ours."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return optuna.load_study(
        study_name=name, storage=JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    )


@pytest.mark.parametrize("runtime", [TORCH, *OTHERS])
def test_a_search_leaves_a_study_a_document_and_a_best_file_that_gives_the_same_figure(
    tmp_path, runtime
):
    found = experiment(
        tmp_path,
        backends=[runtime],
        trials=5,
        parameters={
            "train.optimizer.lr": LR,
            "model.dropout": [0.0, 0.4],
            "model.hidden.0": {"min": 8, "max": 32},
        },
    )
    finished = tune(found, output=tmp_path)
    result = finished.record
    assert result.complete
    assert [trial.number for trial in result.trials] == [0, 1, 2, 3, 4]
    assert all(
        trial.state == "complete" and len(trial.intermediate) == 2 for trial in result.trials
    ), result.trials

    study = plain_study(finished.folder, f"small/{runtime}")
    best = study.best_trial
    assert best.value == result.best.value == min(trial.values[0] for trial in result.trials)
    assert best.params == result.best.params
    assert set(best.params) == {"train.optimizer.lr", "model.dropout", "model.hidden.0"}
    assert best.intermediate_values[2] == best.value == best.user_attrs["final.val_loss"]
    assert best.user_attrs["runtime"] == runtime

    command = [
        sys.executable,
        "-m",
        "nncompare",
        "run",
        str(finished.folder / "best.yaml"),
        "--json",
        "-q",
    ]
    again = subprocess.run(
        [*command, "--output", tmp_path / "r"], capture_output=True, text=True, check=True
    )
    with (finished.folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [float(row["value.val_loss"]) for row in rows] == [
        trial.values[0] for trial in result.trials
    ]
    assert [float(row["model.dropout"]) for row in rows] == [
        trial.params["model.dropout"] for trial in result.trials
    ]

    (row,) = json.loads(again.stdout)["runtimes"]
    assert row["final"]["val_loss"] == best.value  # bitwise, in another process


@pytest.mark.needs_torch
def test_a_grid_is_enumerated_and_then_ends(tmp_path):
    parameters = {
        "train.optimizer.lr": [0.001, 0.01],
        "model.hidden": [[8], [8, 8]],
        "model.batch_norm": [False, True],
    }
    result = tune(
        experiment(tmp_path, sampler="grid", trials=None, parameters=parameters), output=None
    ).record
    points = {json.dumps(trial.params, sort_keys=True) for trial in result.trials}
    assert len(result.trials) == len(points) == 8
    assert result.complete


@pytest.mark.needs_torch
def test_a_hopeless_trial_is_stopped_in_mid_training(tmp_path):
    """One learning rate that learns, one that cannot: after the good ones the bad one does not see
    its last epoch.
    """
    parameters = {"train.optimizer.lr": [1e-2, 2e-2, 3e-2, 1e-7]}
    pruner = {"name": "median", "startup_trials": 2}
    found = experiment(
        tmp_path,
        sampler="grid",
        trials=None,
        pruner=pruner,
        parameters=parameters,
        train={"epochs": 4},
    )
    result = tune(found, output=None).record
    last = result.trials[-1]
    assert [trial.state for trial in result.trials[:2]] == ["complete", "complete"]
    assert last.state == "pruned"
    assert len(last.intermediate) == last.epochs == 1
    assert result.best.params["train.optimizer.lr"] != 1e-7


@pytest.mark.parametrize("runtime", OTHERS)
def test_pruning_reaches_every_loop(tmp_path, runtime):
    parameters = {"train.optimizer.lr": [1e-2, 1e-7]}
    pruner = {"name": "median", "startup_trials": 1}
    found = experiment(
        tmp_path,
        backends=[runtime],
        sampler="grid",
        trials=None,
        pruner=pruner,
        parameters=parameters,
        train={"epochs": 4},
    )
    result = tune(found, output=None).record
    assert [trial.state for trial in result.trials] == ["complete", "pruned"]
    assert result.trials[1].epochs == 1


@pytest.mark.needs_torch
def test_trials_that_fail_say_why_and_are_never_the_best(tmp_path):
    parameters = {
        "train.optimizer": [
            {"name": "sgd", "lr": 1e30},
            {"name": "sgd", "lr": 0.01},
        ],
    }
    found = experiment(
        tmp_path, sampler="grid", trials=None, parameters=parameters, train={"epochs": 3}
    )
    result = tune(found, output=None).record
    assert [trial.state for trial in result.trials] == ["failed", "complete"]
    assert result.trials[0].status == "diverged"
    assert "loss is" in result.trials[0].reason
    assert result.best.trial == 1


@pytest.mark.needs_torch
def test_a_trial_without_memory_fails_and_the_next_one_trains(tmp_path):
    parameters = {"model.hidden": [[100_000, 10_000_000], [8]]}
    result = tune(
        experiment(tmp_path, sampler="grid", trials=None, parameters=parameters), output=None
    ).record
    assert [trial.state for trial in result.trials] == ["failed", "complete"]
    assert result.trials[0].status == "out of memory"


@pytest.mark.needs_torch
def test_values_that_do_not_go_together_fail_that_trial(tmp_path):
    """Each bound alone is valid with the file's other values; 4 heads do not divide 6 features."""
    section = {"sampler": "grid", "parameters": {"model.embedding": [8, 6], "model.heads": [2, 4]}}
    found = load_mapping(
        {
            "data": {"name": "digits_rows"},
            "model": {"family": "attention", "embedding": 8, "heads": 2},
            "train": {"epochs": 1, "batch_size": 512},
            "backends": ["torch"],
            "tune": section,
        },
        signature_of=signature,
    )
    result = tune(found, output=None).record
    assert [trial.state for trial in result.trials] == [
        "complete",
        "complete",
        "complete",
        "failed",
    ]
    assert "no valid experiment" in result.trials[3].reason


@pytest.mark.slow
@pytest.mark.needs_torch
def test_a_trial_that_takes_too_long_is_ended(tmp_path):
    parameters = {"train.epochs": [1, 1_000_000]}
    result = tune(
        experiment(tmp_path, sampler="grid", trials=None, parameters=parameters, trial_timeout=8.0),
        output=None,
    ).record
    assert [trial.state for trial in result.trials] == ["complete", "failed"]
    assert result.trials[1].status == "timed out"
    assert "8 s" in result.trials[1].reason


@pytest.mark.slow
@pytest.mark.needs_torch
def test_the_search_stops_at_its_time(tmp_path):
    finished = tune(experiment(tmp_path, trials=100_000, timeout=12.0), output=tmp_path)
    assert finished.record.outcome == "stopped"
    assert "timeout" in finished.record.searches[0].stopped
    assert 0 < len(finished.record.trials) < 100_000
    assert all(trial.state == "complete" for trial in finished.record.trials)


@pytest.mark.needs_torch
def test_failures_in_a_row_end_the_search_with_an_explanation(tmp_path):
    lr = {"train.optimizer.lr": {"min": 1e30, "max": 1e31}}
    found = experiment(
        tmp_path, parameters=lr, max_failures=2, train={"epochs": 3, "optimizer": {"name": "sgd"}}
    )
    result = tune(found, output=None).record
    assert len(result.trials) == 2
    assert "2 trials failed in a row" in result.searches[0].stopped
    assert result.best is None
    assert not result.complete


@pytest.mark.needs_torch
def test_resume_goes_on_to_the_new_total_and_to_the_same_trials(tmp_path):
    found = experiment(tmp_path, trials=6, sampler="tpe", startup_trials=2)
    whole = tune(found, output=None).record
    first = tune(experiment(tmp_path, trials=3, sampler="tpe", startup_trials=2), output=tmp_path)
    second = resume(first.folder, ["tune.trials=6"])
    assert [trial.number for trial in second.record.trials] == list(range(6))
    assert [trial.params for trial in second.record.trials] == [
        trial.params for trial in whole.trials
    ]
    assert [trial.values for trial in second.record.trials] == [
        trial.values for trial in whole.trials
    ]


@pytest.mark.needs_torch
def test_what_may_not_change_on_resume_and_a_second_process_are_refused(tmp_path, capsys):
    from nncompare.studies.tune.folder import lock_folder

    parameters = {"train.optimizer.lr": [0.01]}
    first = tune(
        experiment(tmp_path, sampler="grid", trials=None, parameters=parameters), output=tmp_path
    )
    assert call(["tune", "--resume", str(first.folder), "train.epochs=9"]) == 2
    assert "train.epochs cannot be changed" in capsys.readouterr().err
    assert call(["tune", "--resume", str(first.folder), "--jobs", "2"]) == 2
    assert call(["tune", "--resume", str(tmp_path / "nowhere")]) == 2
    with lock_folder(first.folder):
        assert call(["tune", "--resume", str(first.folder)]) == 2
    assert "another process works on this search" in capsys.readouterr().err


@pytest.mark.needs_torch
def test_a_full_disk_is_said_and_what_was_finished_before_is_kept(tmp_path, monkeypatch, capsys):
    from nncompare.studies.tune.storage import _Journal

    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.yaml").write_text(CONFIG.replace("epochs: 4", "epochs: 1"))
    append, ends = _Journal.append_logs, []

    def full(self, logs):
        if len(ends) == 2:
            raise OSError(28, "No space left on device")
        append(self, logs)
        ends.extend(log for log in logs if log.get("state") in (1, 2))  # complete, pruned

    with monkeypatch.context() as patch:
        patch.setattr(_Journal, "append_logs", full)
        assert call(["tune", "full.yaml", "-q", "--trials", "4"]) == 3
    said = capsys.readouterr().err
    (folder,) = tmp_path.glob("results/killed-*")
    assert "No space left on device; finished trials are kept" in said
    assert f"--resume results/{folder.name}" in said
    assert "Traceback" not in said
    kept = [trial.values for trial in plain_study(folder, "killed/torch").trials[:2]]
    assert call(["tune", "--resume", str(folder), "-q"]) == 0
    trials = plain_study(folder, "killed/torch").trials
    _check_exact(trials, 4)
    assert [trial.values for trial in trials[:2]] == kept


CONFIG = """\
name: killed
data: {name: digits}
model: {family: mlp, hidden: [16]}
train: {epochs: 4, batch_size: 16}
backends: [torch]
measure: {threads: 1}
tune:
  trials: 12
  startup_trials: 3
  pruner: median
  parameters: {train.optimizer.lr: {min: 1e-4, max: 1e-1, log: true}, model.hidden.0: {min: 8, max: 32}}
"""


def _killed_after(seconds, arguments, folder):
    """Whether the process still ran then."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "nncompare", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def _killed_and_resumed(tmp_path, kills, seed):
    """Kills a search at random moments, resuming it after each; then lets it finish. Returns its
    trials and how many were asked for: more, where it was over before all kills had hit it.
    """
    (tmp_path / "killed.yaml").write_text(CONFIG)
    chance, total = random.Random(seed), 12
    hits = int(_killed_after(2.0 + 6 * chance.random(), ["tune", "killed.yaml", "-q"], tmp_path))
    while not list(tmp_path.glob("results/killed-*")):
        _killed_after(8.0 + 4 * chance.random(), ["tune", "killed.yaml", "-q"], tmp_path)
    (folder,) = list(tmp_path.glob("results/killed-*"))
    again = ["tune", "--resume", str(folder), "-q", "--trials"]
    while hits < kills:
        if _killed_after(1.5 + 5 * chance.random(), [*again, str(total)], tmp_path):
            hits += 1
        else:
            total += 15
    assert call([*again, str(total)]) == 0
    return plain_study(folder, "killed/torch").trials, total


def _check_exact(trials, total):
    assert [trial.number for trial in trials] == list(range(total))
    assert all(
        trial.state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        for trial in trials
    )


@pytest.mark.needs_torch
def test_a_killed_search_resumes_to_exactly_what_was_asked(tmp_path, capsys):
    _check_exact(*_killed_and_resumed(tmp_path, 2, seed=1))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.needs_torch
def test_killed_at_ten_random_moments(tmp_path, capsys):
    _check_exact(*_killed_and_resumed(tmp_path, 10, seed=int(time.time())))
