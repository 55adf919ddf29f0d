"""What a file leaves open stays open on its way: families, dump, job folder, resolved job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompare.backends import native
from nncompare.config.dump import as_given, dump
from nncompare.config.load import load, load_mapping
from nncompare.data import signature
from nncompare.numerics.initializers import initial_params
from nncompare.spec.experiment import Experiment
from nncompare.spec.families import Mlp
from nncompare.spec.job import Job
from nncompare.spec.layers import LAYERS
from nncompare.spec.layers.normalization import BatchNorm, LayerNorm
from nncompare.spec.training import OPTIMIZERS
from nncompare.wire import job_folder
from nncompare.wire.requests import TrainRequest

ADAM = {"name": "adam", "beta1": 0.9}
NESTED = [
    {"type": "embedding", "units": 4},
    {
        "type": "residual",
        "layers": [
            {"type": "layer_norm"},
            {"type": "residual", "layers": [{"type": "leaky_relu"}]},
        ],
        "shortcut": [
            {"type": "dense", "units": 4, "initializer": {"name": "normal", "scale": 0.1}}
        ],
    },
    {"type": "lstm", "units": 3, "forget_bias": 0.5},
    {"type": "dense", "units": 3},
]
MODELS: list[dict[str, Any]] = [
    {"family": "mlp", "embedding": 4, "batch_norm": True, "activation": "leaky_relu"},
    {"family": "rnn", "embedding": 4, "initializer": "kaiming_normal"},
    {"family": "attention", "feed_forward": 8},
    {"layers": NESTED},
]
DEFAULTS = {
    "layer_norm.epsilon": 0.5,
    "leaky_relu.slope": 0.25,
    "batch_norm.epsilon": 0.125,
    "adam.lr": 0.75,
}


def experiment(model: dict[str, Any], convention: str = "native", **train: Any) -> Experiment:
    section = {"convention": convention, "optimizer": ADAM, **train}
    return load_mapping({"data": {"name": "pattern"}, "model": model, "train": section})


def job_of(spec: Experiment) -> Job:
    return Job(runtime="torch", experiment=spec, signature=signature(spec.data, spec.task), seed=3)


def open_fields(spec: Experiment) -> list[tuple[str, list[str]]]:
    """Every layer's fields that the file leaves open, and the optimizer's."""
    parts = [(node.name, node.layer) for node in job_of(spec).model.walk()]
    parts.append(("optimizer", spec.train.optimizer))
    return [
        (name, [field for field in type(part).model_fields if part.leaves_open(field)])
        for name, part in parts
    ]


@pytest.mark.parametrize("convention", ["aligned", "native"])
@pytest.mark.parametrize("model", MODELS)
def test_the_job_folder_keeps_open_what_is_open(
    tmp_path: Path, model: dict[str, Any], convention: str
) -> None:
    spec = experiment(model, convention)
    job_folder.write(tmp_path, TrainRequest(job=job_of(spec), data=tmp_path))
    job = job_folder.read(tmp_path).job
    assert job.experiment == spec
    assert open_fields(job.experiment) == open_fields(spec)


@pytest.mark.parametrize("model", MODELS)
def test_a_dumped_native_experiment_leaves_the_same_open(
    tmp_path: Path, model: dict[str, Any]
) -> None:
    spec = experiment(model)
    (tmp_path / "dumped.yaml").write_text(dump(spec))
    again = load(tmp_path / "dumped.yaml")
    assert again == spec
    assert open_fields(again) == open_fields(spec)


def test_a_dumped_aligned_experiment_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "dumped.yaml").write_text(dump(experiment(MODELS[3], "aligned")))
    again = load(tmp_path / "dumped.yaml")
    assert [fields for _, fields in open_fields(again) if fields] == []


def test_parts_made_in_python_keep_the_word_that_chooses_them() -> None:
    """Their ``type`` or ``family`` is a default, too."""
    spec = experiment(MODELS[3]).model_copy(update={"model": Mlp(family="mlp", hidden=(3,))})
    assert Experiment.model_validate(as_given(spec)) == spec
    assert as_given(BatchNorm(momentum=0.2)) == {"type": "batch_norm", "momentum": 0.2}


def test_a_family_hands_on_an_initializer_only_if_it_is_given() -> None:
    for model in (
        {"family": "mlp", "embedding": 4},
        {"family": "rnn", "embedding": 4},
        {"family": "attention"},
    ):
        plain = dict(open_fields(experiment(model)))
        given = dict(open_fields(experiment({**model, "initializer": "xavier_normal"})))
        assert "initializer" in plain["dense_1"]
        assert "initializer" not in given["dense_1"]


def test_resolving_fills_what_is_open_at_every_depth() -> None:
    spec = experiment(
        {"layers": [*NESTED[:1], NESTED[1], {"type": "layer_norm", "epsilon": 1e-5}, *NESTED[2:]]}
    )
    resolved = native.resolve(job_of(spec), DEFAULTS)
    values = {node.name: getattr(node.layer, "epsilon", None) for node in resolved.model.walk()}
    assert values["layer_norm_1"] == 0.5
    assert values["layer_norm_2"] == 1e-5, "given, although it is the aligned default"
    slopes = [node.layer.slope for node in resolved.model.walk() if node.layer.type == "leaky_relu"]  # type: ignore[attr-defined]
    assert slopes == [0.25]
    assert resolved.experiment.train.optimizer.lr == 0.75
    assert resolved.experiment.train.optimizer.beta1 == 0.9  # type: ignore[union-attr]
    assert list(resolved.model.parameters) == list(job_of(spec).model.parameters)
    assert native.resolve(resolved, {"layer_norm.epsilon": 9.0, "adam.lr": 9.0}) == resolved


def test_resolving_leaves_an_aligned_job_alone() -> None:
    job = job_of(experiment(MODELS[3], "aligned"))
    assert native.resolve(job, DEFAULTS) is job
    assert LayerNorm().epsilon == 1e-5


def test_the_start_is_all_parameters_aligned_and_the_named_ones_native() -> None:
    aligned, job = job_of(experiment(MODELS[3], "aligned")), job_of(experiment(MODELS[3]))
    whole = initial_params(aligned.model, 3)
    assert native.start(aligned).keys() == whole.keys()
    found = native.start(native.resolve(job, DEFAULTS))
    assert found.keys() == {"dense_1.kernel", "lstm_1.bias"}
    assert all(np.array_equal(found[name], whole[name]) for name in found)


def test_parameters_that_only_a_framework_has_are_counted() -> None:
    job = job_of(experiment({"family": "mlp", "embedding": 4, "batch_norm": True}))
    params = initial_params(job.model, 3)
    assert native.trained_count(job, params) == job.model.trainable_count
    assert (
        native.trained_count(job, {**params, "lstm_1.recurrent_bias": np.zeros(8)})
        == job.model.trainable_count + 8
    )


def test_every_number_with_a_default_is_open() -> None:
    """A number is the framework's choice, unless it says how a parameter starts. What has no number
    is mostly structure (strides, whether there is a bias), which the file decides.
    """
    parts: dict[str, Any] = {**LAYERS, **OPTIMIZERS}
    is_open = set(native.open_values())
    numbers = {
        f"{kind}.{name}"
        for kind, part in parts.items()
        for name, field in part.model_fields.items()
        if isinstance(field.default, float)
    }
    assert numbers - {"lstm.forget_bias"} <= is_open
    assert {"gelu.approximate", "sgd.nesterov"} <= is_open
    for kind, part in parts.items():
        assert all(not part.model_fields[name].is_required() for name in part.open_fields()), kind
