"""Samplers, folds, several goals, several workers, several backends, memory."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import psutil
import pytest

from nncompare.cli import call
from nncompare.config.load import load_mapping
from nncompare.data import prepare, signature
from nncompare.data.folds import fold
from nncompare.errors import DataError, UsageError
from nncompare.launch.trials import TrialWorker
from nncompare.spec.runtimes import CATALOG
from nncompare.studies.tune.confirmation import transfer
from nncompare.studies.tune.options import SearchOptions, check_options, study_name, threads_of
from nncompare.studies.tune.record import TuneConfirmed
from nncompare.studies.tune.search import Search
from nncompare.studies.tune.study import tune
from nncompare.wire.messages import TrialEnd

LR = {"min": 1e-3, "max": 1e-1, "log": True}


def experiment(*, backends=("torch",), train=(), data=(), task=None, **section):
    return load_mapping(
        {
            "name": "small",
            **({"task": task} if task else {}),
            "data": {"name": "digits", **dict(data)},
            "model": {"family": "mlp", "hidden": [16]},
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


@pytest.mark.needs_torch
@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "gp", "qmc", "nsga2"])
def test_every_sampler_proposes_within_bounds_and_imports_no_framework_here(sampler):
    parameters = {
        "train.optimizer.lr": LR,
        "model.dropout": {"min": 0.0, "max": 0.5, "step": 0.25},
        "model.hidden.0": {"min": 8, "max": 16},
        "model.activation": ["relu", "tanh"],
    }
    found = experiment(
        sampler=sampler, startup_trials=3, trials=8, parameters=parameters, train={"epochs": 1}
    )
    result = tune(found, output=None).record
    assert result.complete
    assert len(result.trials) == 8
    for trial in result.trials:
        assert 1e-3 <= trial.params["train.optimizer.lr"] <= 1e-1
        assert trial.params["model.dropout"] in (0.0, 0.25, 0.5)
        assert trial.params["model.hidden.0"] in range(8, 17)
    assert len({tuple(map(str, trial.params.values())) for trial in result.trials}) > 4
    assert not {"torch", "tensorflow", "keras"} & set(sys.modules)


@pytest.mark.needs_torch
@pytest.mark.parametrize(
    "pruner", ["median", "hyperband", "successive_halving", {"name": "patient", "patience": 0}]
)
def test_every_pruner_stops_something(pruner):
    lr = {"train.optimizer.lr": {"min": 1e-7, "max": 1e1, "log": True}}
    found = experiment(pruner=pruner, trials=14, parameters=lr, train={"epochs": 9}, seed=3)
    result = tune(found, output=None).record
    states = [trial.state for trial in result.trials]
    assert "pruned" in states
    assert "complete" in states
    assert all(trial.epochs < 9 for trial in result.trials if trial.state == "pruned")


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
@pytest.mark.needs_keras
def test_in_float64_every_backend_gets_the_same_trials_and_the_same_values():
    backends = ["torch", "tensorflow", "keras"]
    parameters = {
        "train.optimizer.lr": LR,
        "model.hidden.0": {"min": 8, "max": 32},
        "model.activation": ["relu", "tanh"],
    }
    found = experiment(
        backends=backends,
        sampler="tpe",
        startup_trials=4,
        trials=10,
        parameters=parameters,
        pruner={"name": "median", "startup_trials": 3},
        train={"dtype": "float64", "epochs": 3},
    )
    result = tune(found, SearchOptions(per_backend=True), output=None).record
    assert result.complete
    by = {name: [trial for trial in result.trials if trial.runtime == name] for name in backends}
    for name in backends[1:]:
        for mine, other in zip(by["torch"], by[name], strict=True):
            assert mine.params == other.params
            assert mine.state == other.state
            assert mine.values == pytest.approx(other.values, abs=1e-9, rel=0)
    assert len({search.best.trial for search in result.searches}) == 1


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
def test_the_best_trials_are_confirmed_on_every_backend_with_fresh_seeds():
    found = experiment(backends=["torch", "tensorflow"], trials=4, confirm={"top": 2, "seeds": 2})
    result = tune(found, output=None).record
    assert {trial.runtime for trial in result.trials} == {"torch"}
    assert len(result.confirmation) == 2 * 2 * 2
    assert {row.seed for row in result.confirmation} == {1, 2}
    assert all(row.status == "ok" and math.isfinite(row.values[0]) for row in result.confirmation)
    assert {row.trial for row in result.confirmation if row.rank == 1} == {result.best.trial}
    assert [item.runtime for item in result.transfer] == ["torch", "tensorflow"]


def _confirmed(runtime, trial, rank, values):
    return [
        TuneConfirmed(
            rank=rank, trial=trial, runtime=runtime, seed=seed, status="ok", values=(value,)
        )
        for seed, value in enumerate(values, start=1)
    ]


def test_an_optimum_transfers_unless_another_trial_is_surely_better():
    section = experiment().tune
    here = _confirmed("torch", 7, 1, [0.10, 0.11, 0.12]) + _confirmed(
        "torch", 3, 2, [0.20, 0.21, 0.22]
    )
    noise = _confirmed("keras", 7, 1, [0.10, 0.13, 0.12]) + _confirmed(
        "keras", 3, 2, [0.11, 0.10, 0.12]
    )
    other = _confirmed("tensorflow", 7, 1, [0.30, 0.31, 0.32]) + _confirmed(
        "tensorflow", 3, 2, [0.20, 0.21, 0.22]
    )
    torch, keras, tensorflow = transfer([*here, *noise, *other], section)
    assert (torch.best_trial, torch.holds) == (7, True)
    assert (keras.best_trial, keras.holds) == (3, True)
    assert (tensorflow.best_trial, tensorflow.holds) == (3, False)


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_folds_are_disjoint_stratified_and_normalized_on_their_own_training_part(name):
    found = load_mapping({"data": {"name": name}, "model": {"family": "mlp"}})
    data = prepare(found.data, found.task, seed=0, dtype="float64")
    total = len(data.train) + len(data.validation)
    parts = [fold(data, found.data, found.task, count=5, index=k, seed=0) for k in range(5)]
    assert sum(len(part.validation) for part in parts) == total
    assert all(len(part.train) + len(part.validation) == total for part in parts)
    shares = [
        np.bincount(part.validation.y.ravel().astype(int)) / len(part.validation) for part in parts
    ]
    assert np.ptp(shares, axis=0).max() < 0.03
    for part in parts:
        x = part.train.x if name == "breast_cancer" else part.train.x.reshape(-1, 1)
        assert np.abs(x.mean(axis=0)).max() < 1e-9
        assert np.abs(x.std(axis=0) - 1).max() < 1e-9


def test_more_folds_than_members_of_a_class_are_refused():
    found = load_mapping({"data": {"name": "digits", "limit": 40}, "model": {"family": "mlp"}})
    data = prepare(found.data, found.task, seed=0, dtype="float32")
    with pytest.raises(DataError, match="take fewer folds"):
        fold(data, found.data, found.task, count=30, index=0, seed=0)


@pytest.mark.needs_torch
def test_with_folds_the_value_is_the_mean_over_them_and_pruning_works_across():
    lr = {"train.optimizer.lr": [1e-2, 2e-2, 1e-7]}
    pruner = {"name": "median", "startup_trials": 2}
    found = experiment(sampler="grid", trials=None, folds=3, parameters=lr, pruner=pruner)
    first, _, last = tune(found, output=None).record.trials
    losses = [first.metrics[f"folds.{k}.val_loss"] for k in range(3)]
    assert len(set(losses)) == 3
    assert first.values[0] == pytest.approx(np.mean(losses), rel=1e-12)
    assert first.metrics["folds.val_loss.std"] == pytest.approx(np.std(losses, ddof=1), rel=1e-9)
    assert list(first.intermediate) == ["1", "2", "3", "4", "5", "6"]
    assert first.intermediate["6"] == pytest.approx(first.values[0], rel=1e-12)
    assert last.state == "pruned"
    assert len(last.intermediate) < 6


@pytest.mark.needs_torch
def test_several_goals_have_a_front():
    parameters = {"model.hidden.0": [4, 64], "train.optimizer.lr": [1e-2, 1e-6]}
    found = experiment(
        sampler="grid", trials=None, metric=["val_loss", "parameters"], parameters=parameters
    )
    result = tune(found, output=None).record
    best = {
        (trial.params["model.hidden.0"], trial.params["train.optimizer.lr"])
        for trial in result.trials
        if trial.number in result.searches[0].pareto
    }
    assert (64, 1e-2) in best
    assert any(hidden == 4 for hidden, _ in best)
    assert (64, 1e-6) not in best
    values = [trial.values for trial in result.trials]
    assert {int(value[1]) for value in values} == {64 * 4 + 4 + 40 + 10, 64 * 64 + 64 + 640 + 10}


@pytest.mark.needs_torch
def test_several_workers_share_the_trials():
    result = tune(experiment(trials=8), SearchOptions(jobs=2), output=None).record
    assert [trial.number for trial in result.trials] == list(range(8))
    assert result.complete
    alone = tune(experiment(trials=8), output=None).record
    assert [trial.values for trial in result.trials] == [trial.values for trial in alone.trials]


def test_threads_are_shared_out(monkeypatch):
    monkeypatch.setattr(
        "nncompare.studies.tune.options.usable_threads", lambda asked=None: min(8, asked or 8)
    )
    found = load_mapping({"data": {"name": "digits"}, "model": {"family": "mlp"}})
    assert [threads_of(found, jobs) for jobs in (1, 2, 3, 16)] == [8, 4, 2, 1]


def test_times_are_no_goal_of_several_workers():
    with pytest.raises(UsageError, match="step_s cannot be a goal"):
        check_options(experiment(metric="step_s"), SearchOptions(jobs=2))


def test_the_name_in_a_database_follows_what_is_searched_and_not_how_long():
    base = study_name(experiment(), "torch", shared=True)
    assert study_name(experiment(trials=99), "torch", shared=True) == base
    assert study_name(experiment(train={"epochs": 9}), "torch", shared=True) != base
    assert study_name(experiment(), "keras", shared=True) != base


@pytest.mark.needs_torch
def test_a_runtime_that_does_not_start_spends_no_trial(monkeypatch, tmp_path):
    broken = {"PYTHONPATH": str(tmp_path)}
    (tmp_path / "torch.py").write_text("raise ImportError('broken on purpose')\n")

    class Broken(TrialWorker):
        def __init__(self, runtime, **settings):
            import nncompare.launch.trials as module

            real = module.environment_for
            monkeypatch.setattr(module, "environment_for", lambda *a: real(*a) | broken)
            super().__init__(runtime, **settings)

    monkeypatch.setattr("nncompare.studies.tune.plan.TrialWorker", Broken)
    result = tune(experiment(), output=None).record
    assert "torch does not start" in result.searches[0].stopped
    assert result.trials == ()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param(name, marks=getattr(pytest.mark, f"needs_{name}"))
        for name in ("torch", "tensorflow", "keras")
    ],
)
def test_memory_does_not_grow_with_trials(runtime, monkeypatch):
    """PyTorch gives back what a trial held; the others keep some of it, and their workers are
    replaced in time.
    """
    sizes, workers = [], set()
    hear = Search._hear

    def weighed(self, slot, worker):
        workers.add(id(worker))
        hear(self, slot, worker)
        if slot.trial is None and slot.worker is not None:
            sizes.append(psutil.Process(slot.worker.process.process.pid).memory_info().rss)

    monkeypatch.setattr(Search, "_hear", weighed)
    parameters = {"train.optimizer.lr": LR, "model.hidden.0": {"min": 200, "max": 400}}
    trials = 100 if runtime == "keras" else 70
    found = experiment(
        backends=[runtime], trials=trials, parameters=parameters, train={"epochs": 1}
    )
    assert tune(found, output=None).record.complete
    grown = (max(sizes) - sizes[1]) / 2**20
    assert grown < (40 if runtime == "torch" else 96 + 16), (
        f"{grown:.0f} MiB more over {len(sizes)} trials"
    )
    if runtime != "tensorflow":
        assert len(workers) == (1 if runtime == "torch" else 2)


def test_a_worker_that_keeps_too_much_is_full(tmp_path, monkeypatch):
    class Fake:
        def __init__(self, *arguments, **settings):
            self.held = iter([300, 450, 460, 530, 550])

        def go(self):
            pass

        def receive(self):
            held = next(self.held) * 2**20
            return TrialEnd(status="ok", reason=None, resident_bytes=held)

    monkeypatch.setattr("nncompare.launch.trials.WorkerProcess", Fake)
    worker = TrialWorker("torch", threads=1, device="cpu", home=tmp_path, log=tmp_path / "log")
    found = []
    for _ in range(5):
        worker.receive()
        found.append(worker.full)
    assert found == [False, False, False, False, True]  # the second trial's 150 MiB are no growth


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the experiment file"),
        (["plain.yaml"], "no tune: section"),
        (["search.yaml", "--jobs", "0"], "at least 1"),
        (["search.yaml", "--storage", "mysql://x/y"], "only postgresql://"),
        (["search.yaml", "--trials", "0"], "greater than 0"),
        (["search.yaml", "tune.parameters.model.dropout.max=1.5"], "must be less than 1"),
    ],
)
def test_wrong_usage(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.yaml").write_text("data: {name: digits}\nmodel: {family: mlp}\n")
    section = "tune: {parameters: {model.dropout: {min: 0.1, max: 0.2}}}\n"
    (tmp_path / "search.yaml").write_text("data: {name: digits}\nmodel: {family: mlp}\n" + section)
    assert call(["tune", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_a_dry_run_trains_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    section = "tune: {parameters: {model.dropout: {min: 0.1, max: 0.2}}}\n"
    (tmp_path / "search.yaml").write_text("data: {name: digits}\nmodel: {family: mlp}\n" + section)
    assert call(["tune", "search.yaml", "--dry-run"]) == 0
    assert "20 trials on torch, tpe" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["search.yaml"]


def test_a_dry_run_counts_the_points_of_a_grid_that_is_smaller_than_the_trials(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    section = "tune: {sampler: grid, trials: 50, parameters: {model.dropout: [0.1, 0.2]}}\n"
    (tmp_path / "search.yaml").write_text("data: {name: digits}\nmodel: {family: mlp}\n" + section)
    assert call(["tune", "search.yaml", "--dry-run"]) == 0
    assert "2 trials on torch, grid" in capsys.readouterr().out


def test_a_runtime_that_is_not_installed_says_what_was_asked_of_it(monkeypatch):
    kind = type(CATALOG["torch"])
    monkeypatch.setattr(kind, "missing", lambda self: "not installed here")
    (search,) = tune(experiment(), output=None).record.searches
    assert (search.requested, search.stopped) == (6, "not installed here")


@pytest.mark.needs_torch
def test_json_is_one_document_on_stdout_and_the_report_goes_to_stderr(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    section = (
        "tune: {sampler: grid, parameters: {train.optimizer: [{name: sgd, lr: 1e30}, {name:"
        " adam}]}}\n"
    )
    head = (
        "data: {name: digits}\nmodel: {family: mlp, hidden: [8]}\ntrain: {epochs: 2, batch_size:"
        " 256}\n"
    )
    (tmp_path / "search.yaml").write_text(f"{head}backends: [torch]\n{section}")
    assert call(["tune", "search.yaml", "--json", "-v"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} in the document"))
    assert document["kind"] == "tune"
    assert [trial["state"] for trial in document["trials"]] == ["failed", "complete"]
    assert document["trials"][0]["values"] is None
    assert document["best"]["params"] == {"train.optimizer": {"name": "adam"}}
    assert "torch: trial 1 epoch 2/2, val_loss" in err
    assert "Failed on torch" in err
    (folder,) = tmp_path.glob("results/*")
    assert json.loads((folder / "result.json").read_text()) == document
    assert (folder / "report.html").is_file()
