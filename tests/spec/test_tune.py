"""The section ``tune:``: what it takes, and every mistake at its place."""

from __future__ import annotations

from typing import get_args

import pytest

from nncompare.config import space
from nncompare.config.load import Override, dump, load, load_mapping
from nncompare.data import signature
from nncompare.errors import ConfigError
from nncompare.spec.tune import PRUNERS, PrunerName

HEAD = """\
data: {name: digits}
model: {family: mlp, hidden: [64, 32]}
tune:
  trials: 4
"""


def problems(tmp_path, text, head=HEAD):
    file = tmp_path / "t.yaml"
    file.write_text(head + text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, signature_of=signature)
    return caught.value.problems


def one(tmp_path, text, head=HEAD):
    (problem,) = problems(tmp_path, text, head)
    return problem


def parameter(tmp_path, line):
    """The only problem of a file with one parameter, which stands in line 6 from column 5."""
    return one(tmp_path, f"  parameters:\n    {line}\n")


def test_a_section_in_full_and_its_short_forms():
    section = {
        "metric": ["val_loss", {"name": "step_s"}],
        "sampler": "nsga2",
        "parameters": {
            "train.optimizer.lr": {"min": 1e-4, "max": 1e-2, "log": True},
            "model.hidden.0": {"min": 64, "max": 256, "step": 64},
            "model.activation": ["relu", "tanh"],
            "train.optimizer": [{"name": "sgd", "momentum": 0.9}, {"name": "adam"}],
            "model.depth": {"min": 1, "max": 3},
        },
    }
    experiment = load_mapping(
        {"data": {"name": "digits"}, "model": {"family": "mlp"}, "tune": section}
    )
    tune = experiment.tune
    assert [goal.direction for goal in tune.metric] == ["minimize", "minimize"]
    assert tune.parameters["model.activation"].choices == ("relu", "tanh")
    assert space.all_values(tune.parameters["model.hidden.0"]) == [64, 128, 192, 256]
    assert space.all_values(tune.parameters["train.optimizer.lr"]) is None


def test_the_default_direction_follows_the_metric():
    section = {"metric": "val_accuracy", "parameters": {"model.dropout": [0.1, 0.2]}}
    experiment = load_mapping(
        {"data": {"name": "digits"}, "model": {"family": "mlp"}, "tune": section}
    )
    assert experiment.tune.directions == ("maximize",)


def test_what_is_dumped_is_read_back_the_same(tmp_path):
    text = (
        "  pruner: median\n  parameters: {model.dropout: [0.1, 0.2], train.optimizer.lr: {min:"
        " 1e-4, max: 1e-2}}\n"
    )
    (tmp_path / "t.yaml").write_text(HEAD + text)
    experiment = load(tmp_path / "t.yaml")
    (tmp_path / "again.yaml").write_text(dump(experiment))
    assert load(tmp_path / "again.yaml") == experiment.model_copy(update={"name": experiment.name})


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("train.optimizer.lrr: {min: 1e-4, max: 1e-2}", 5, "did you mean 'lr'"),
        ("train.optimiser.lr: {min: 1e-4, max: 1e-2}", 5, "did you mean 'optimizer'"),
        ("model.hidden.2: {min: 4, max: 8}", 5, "there is no item 2"),
        ("train.optimizer.lr: {min: 1e-2, max: 1e-4}", 31, "wrong way round"),
        ("train.optimizer.lr: {min: 1e-3, max: 1e-3}", 31, "wrong way round"),
        (
            "train.optimizer.epsilon: {min: 0, max: 1.0, log: true}",
            36,
            "log range cannot start at 0",
        ),
        (
            "train.optimizer.epsilon: {min: -1.0, max: 1.0, log: true}",
            36,
            "log range cannot start at -1",
        ),
        ("model.dropout: {min: 0.2, max: 1.5}", 36, "must be less than 1, not 1.5"),
        ("model.hidden.0: {min: 64.0, max: 256.0}", 27, "must be a whole number"),
        ("model.hidden.0: [64, big]", 26, "must be a whole number"),
        ("model.activation: {choices: [relu, tan]}", 40, "did you mean 'tanh'"),
        ("model.hidden: [[64], 32]", 26, "list of whole numbers"),
        ("model.batch_norm: {min: 0, max: 1}", 29, "must be true or false"),
        ("train.batch_size: {min: 10, max: 100, step: 32}", 38, "the last one is 74"),
        ("train.optimizer.lr: {min: 1e-4, max: 1e-2, log: true, step: 1e-3}", 65, "no even steps"),
        ("model.dropout: {min: 0.2}", 5, "needs min and max"),
        ("model.dropout: {choices: [0.1, 0.1]}", 36, "stands twice"),
        ("model.dropout: {choices: [0.1], min: 0.2}", 42, "choices are a list of their own"),
        ("measure.threads: [1, 2]", 5, "only paths inside data, model, train"),
        ("backends: [torch, keras]", 5, "only paths inside data, model, train"),
        ("model: [{family: mlp}]", 5, "a whole section"),
    ],
)
def test_a_mistake_in_a_parameter_has_its_place(tmp_path, line, column, words):
    found = problems(tmp_path, f"  parameters:\n    {line}\n")
    assert any(
        words in problem.message and (problem.line, problem.column) == (6, column)
        for problem in found
    ), "\n".join(map(str, found))
    assert all(problem.path.startswith("tune.parameters.") for problem in found)


def test_a_path_that_only_some_choices_have_is_said_with_the_choice(tmp_path):
    text = """\
  parameters:
    train.optimizer: [{name: sgd}, {name: adam}]
    train.optimizer.momentum: {min: 0.1, max: 0.9}
"""
    problem = one(tmp_path, text)
    assert (problem.line, problem.column) == (7, 5)
    assert 'with train.optimizer = {"name": "adam"}' in problem.message


def test_a_shape_that_a_bound_makes_impossible(tmp_path):
    head = (
        "data: {name: digits}\nmodel: {family: cnn, filters: [4], depth: 1}\ntune:\n  trials: 4\n"
    )
    problem = one(tmp_path, "  parameters:\n    model.depth: {min: 1, max: 9}\n", head)
    assert problem.path == "tune.parameters.model.depth.max"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("  metric: val_mae\n", 5, 11, "task classification has no val_mae"),
        ("  metric: {name: val_r2}\n", 5, 18, "task classification has no val_r2"),
        ("  metric: {name: loss}\n", 5, 18, "did you mean"),
        ("  metric: [val_loss, val_loss]\n", 5, 22, "stands twice"),
        ("  sampler: grid\n", 7, 5, "cannot enumerate a continuous range"),
        ("  sampler: cmaes\n", 5, 12, "two or more ranges"),
        ("  pruner: medain\n", 5, 11, "did you mean 'median'"),
        ("  metric: step_s\n  pruner: median\n", 6, 11, "not known after every epoch"),
        ("  metric: [val_loss, step_s]\n  pruner: median\n", 6, 11, "a single goal"),
        ("  folds: 1\n", 5, 10, "at least 2"),
        ("  timeout: -1\n", 5, 12, "greater than 0"),
    ],
)
def test_a_mistake_elsewhere_has_its_place(tmp_path, text, line, column, words):
    found = problems(
        tmp_path, text + "  parameters:\n    train.optimizer.lr: {min: 1e-4, max: 1e-2}\n"
    )
    assert any(
        words in item.message and (item.line, item.column) == (line, column) for item in found
    ), found


def test_accuracy_is_no_metric_of_a_regression(tmp_path):
    head = "data: {name: diabetes}\nmodel: {family: mlp}\ntune:\n  metric: val_accuracy\n"
    problem = one(tmp_path, "  parameters: {model.dropout: [0.1, 0.2]}\n", head)
    assert (problem.line, problem.column) == (4, 11)
    assert "val_mae" in problem.message


def test_points_become_values_of_the_file_outer_paths_first():
    section = {
        "parameters": {
            "train.optimizer.lr": [0.1, 0.2],
            "train.optimizer": [{"name": "sgd"}, {"name": "adam"}],
        }
    }
    experiment = load_mapping(
        {"data": {"name": "digits"}, "model": {"family": "mlp"}, "tune": section}
    )
    params = {"train.optimizer.lr": 0.2, "train.optimizer": '{"name": "sgd"}'}
    changes = space.file_values(experiment.tune, params)
    assert list(changes.items()) == [
        ("train.optimizer", {"name": "sgd"}),
        ("train.optimizer.lr", 0.2),
    ]
    changed = load_mapping(
        {"data": {"name": "digits"}, "model": {"family": "mlp"}},
        [Override.of(path, value, path) for path, value in changes.items()],
    )
    assert (changed.train.optimizer.name, changed.train.optimizer.lr) == ("sgd", 0.2)


def test_a_grid_is_every_point_once():
    dropout, depth = {"min": 0.0, "max": 0.3, "step": 0.1}, {"min": 1, "max": 2}
    section = {"parameters": {"model.dropout": dropout, "model.depth": depth}}
    experiment = load_mapping(
        {"data": {"name": "digits"}, "model": {"family": "mlp"}, "tune": section}
    )
    points = list(space.grid_points(experiment.tune))
    assert len(points) == len({tuple(point.values()) for point in points}) == 8
    assert {point["model.dropout"] for point in points} >= {0.0, 0.3}


def test_the_names_of_pruners_are_those_of_their_classes() -> None:
    assert get_args(PrunerName) == tuple(PRUNERS)
