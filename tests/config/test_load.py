"""Reading experiments: defaults, overrides, positions, and the way back to YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompare.config.document import parse
from nncompare.config.files import LIMIT_BYTES
from nncompare.config.load import Override, dump, load, load_mapping, to_mapping
from nncompare.data import signature
from nncompare.errors import ConfigError, DataError, Problem
from nncompare.spec.data import DATA
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import CATALOG

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = {"data": {"name": "digits"}, "model": {"family": "mlp"}}


def write(folder: Path, text: str, name: str = "some.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(*arguments: Any, **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        (load if isinstance(arguments[0], Path) else load_mapping)(*arguments, **options)
    return caught.value.problems


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configs_load_and_come_back(path: Path) -> None:
    try:
        experiment = load(path, signature_of=signature)
    except DataError:
        # a text file that is not at hand decides shapes, not what the file says
        experiment = load(path)
    written = parse(dump(experiment), "dump").root
    assert written is not None
    assert load_mapping(written.plain()) == experiment


def test_name_and_task_come_from_file_and_data(tmp_path: Path) -> None:
    text = "data: {name: breast_cancer}\nmodel: {family: mlp}\n"
    experiment = load(write(tmp_path, text, "my first (try).yaml"))
    assert (experiment.name, experiment.task) == ("my-first-try", "binary")
    assert load(write(tmp_path, "name: own\n" + text)).name == "own"
    assert load(write(tmp_path, text, "....yaml")).name == "experiment"


@pytest.mark.parametrize("name", DATA)
def test_every_data_set_has_a_default_task(name: str) -> None:
    assert load_mapping({**SMALL, "data": {"name": name}}).task == DATA[name].tasks[0]


def test_numbers_are_yaml_1_2(tmp_path: Path) -> None:
    text = (
        "data: {name: digits}\nmodel: {family: mlp}\ntrain: {optimizer: {name: sgd, lr: 1e-3,"
        " nesterov: True}}\n"
    )
    optimizer = load(write(tmp_path, text)).train.optimizer
    assert optimizer.lr == 1e-3
    assert getattr(optimizer, "nesterov") is True  # noqa: B009


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("train.optimizer.lr=3e-4", ("train", "optimizer", "lr"), 3e-4),
        ("train.optimizer={name: sgd, lr: 1}", ("train", "optimizer", "lr"), 1),
        ("model.hidden.0=64", ("model", "hidden"), (64,)),
        ("model.hidden=[3, 4]", ("model", "hidden"), (3, 4)),
        ("model.initializer.scale=2", ("model", "initializer", "scale"), 2),
        ("train.early_stopping.patience=7", ("train", "early_stopping", "patience"), 7),
        ("train.clip_norm=null", ("train", "clip_norm"), None),
        ("name='5'", ("name",), "5"),
        ("backends=[keras]", ("backends",), ("keras",)),
        (
            "sweep.grid={train.batch_size: [1, 2]}",
            ("sweep",),
            {"grid": {"train.batch_size": [1, 2]}},
        ),
    ],
)
def test_overrides_reach_values_and_defaults(
    override: str, path: tuple[str, ...], value: object
) -> None:
    found: Any = load_mapping(SMALL, [override])
    for part in path:
        found = getattr(found, part)
    assert found == value


def test_an_override_reaches_a_key_with_dots_and_leaves_the_rest() -> None:
    mapping = {**SMALL, "sweep": {"grid": {"train.batch_size": [1, 2], "train": 0}}}
    experiment = load_mapping(mapping, ["sweep.grid.train.batch_size.1=9"])
    assert experiment.sweep == {"grid": {"train.batch_size": [1, 9], "train": 0}}
    assert mapping["sweep"] == {"grid": {"train.batch_size": [1, 2], "train": 0}}


def test_overrides_apply_in_order_and_backends_replace() -> None:
    experiment = load_mapping(
        SMALL, ["train.epochs=5", "train.epochs=6"], backends=["keras", "torch", "keras"]
    )
    assert experiment.train.epochs == 6
    assert experiment.backends == ("keras", "torch")


def test_an_aliased_value_changes_in_one_place_only(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "data: {name: digits}\nmodel: {family: mlp, hidden: &h [32, 16]}\nsweep: {x: *h}\n",
    )
    experiment = load(path, ["model.hidden.0=64"])
    assert getattr(experiment.model, "hidden") == (64, 16)  # noqa: B009
    assert experiment.sweep == {"x": [32, 16]}


@pytest.mark.parametrize(
    ("override", "path", "words"),
    [
        ("train.epochs", "", ["no '='", "train.optimizer.lr=3e-4"]),
        ("=3", "", ["empty"]),
        ("train..epochs=3", "", ["gap"]),
        ("train.epoch=3", "train.epoch", ["did you mean 'epochs'"]),
        ("trian.epochs=3", "trian", ["did you mean 'train'"]),
        ("model.hidden.1=3", "model.hidden.1", ["item 0 only"]),
        ("model.hidden.-1=3", "model.hidden.-1", ["no item -1"]),
        ("model.hidden.first=3", "model.hidden.first", ["numbers from 0"]),
        ("train.epochs.x=3", "train.epochs.x", ["plain value"]),
        ("train.epochs=", "train.epochs", ["no value"]),
        ("train.epochs=[1", "train.epochs", ["not YAML"]),
        ("train.epochs=# x", "train.epochs", ["comment"]),
        ("train.epochs=!!python/none 1", "train.epochs", ["tag"]),
        ("train.epochs='3'", "train.epochs", ["whole number", "remove the quotes"]),
        ("train.optimizer.lr=-1", "train.optimizer.lr", ["greater than 0", "-1"]),
        ("data={name: digits, tst: 3}", "data.tst", ["did you mean 'test'"]),
    ],
)
def test_a_bad_override_names_the_argument(override: str, path: str, words: list[str]) -> None:
    (problem,) = problems_of(SMALL, [override])
    assert (problem.source, problem.path, problem.line) == (override, path, None)
    for word in words:
        assert word in problem.message


def test_a_bad_backend_names_the_option() -> None:
    (problem,) = problems_of(SMALL, backends=["torch", "kerass"])
    assert problem.source == "--backend kerass"
    assert "did you mean 'keras'" in problem.message
    assert all(runtime in problem.message for runtime in CATALOG)


def test_options_are_overrides_with_their_own_name() -> None:
    (problem,) = problems_of(SMALL, [Override.of("train.seed", -3, "--seed -3")])
    assert str(problem) == "--seed -3: train.seed: must be at least 0, not -3"


def test_all_problems_come_in_one_pass_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "data: {name: digits, tst: 0.1}\nmodel: {family: cnn, kernel: 99, padding: valid}\ntrain:\n"
        "  epochs: '3'\n  epochs: 4\n  optimizer: {name: adam, lr: .nan}\nbackends: [tensorflw]\n",
    )
    found = problems_of(path, ["train.seed=x"], signature_of=signature)
    assert [(item.path, item.line, item.column) for item in found] == [
        ("data.tst", 1, 22),
        ("train.epochs", 4, 11),
        ("train.epochs", 5, 3),
        ("train.optimizer.lr", 6, 31),
        ("backends.0", 7, 12),
        ("train.seed", None, None),
    ]


def test_impossible_shapes_are_found_beside_other_problems(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "data: {name: digits}\nmodel: {family: cnn, kernel: 99, padding: valid}\ntrain: {epochs:"
        " 0}\n",
    )
    found = problems_of(path, signature_of=signature)
    assert [(item.path, item.line, item.column) for item in found] == [
        ("model.kernel", 2, 30),
        ("train.epochs", 3, 17),
    ]


def test_the_caret_stands_under_the_value(tmp_path: Path) -> None:
    path = write(tmp_path, "data: {name: digits}\nmodel: {family: mlp}\ntrain: {epochs: 2.0}\n")
    (problem,) = problems_of(path)
    head, line, caret = str(problem).split("\n")
    assert head == f"{path}:3:17: train.epochs: must be a whole number, not 2.0; write 2"
    assert line[caret.index("^") :].startswith("2.0")


def test_a_very_long_line_is_not_printed_whole(tmp_path: Path) -> None:
    path = write(
        tmp_path, "data: {name: digits}\nmodel: {family: mlp, hidden: [" + "1, " * 2000 + "x]}\n"
    )
    (problem,) = problems_of(path)
    assert problem.column == 30 + 6000 + 1
    assert len(str(problem)) < 400


def test_pool_null_survives_the_way_back() -> None:
    experiment = load_mapping(
        {"data": {"name": "digits"}, "model": {"family": "cnn", "pool": None}}
    )
    assert to_mapping(experiment)["model"]["pool"] is None
    assert load_mapping(to_mapping(experiment)) == experiment


def test_the_limit_is_on_the_file_not_on_its_values(tmp_path: Path) -> None:
    text = "data: {name: digits}\nmodel: {family: mlp}\n#"
    assert load(write(tmp_path, text + "x" * (LIMIT_BYTES - len(text)))).name == "some"
    (problem,) = problems_of(write(tmp_path, text + "x" * (LIMIT_BYTES - len(text) + 1)))
    assert "larger than 1 MiB" in problem.message


FLOATS = st.floats(min_value=1e-300, max_value=1e300, allow_nan=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
DATAS = st.one_of(
    st.builds(
        lambda path, limit: {"name": "mnist", "path": path, "limit": limit},
        TEXTS,
        st.integers(2, 9),
    ),
    st.builds(
        lambda pattern: {"name": "pattern", "pattern": pattern},
        st.lists(st.integers(0, 9), min_size=1),
    ),
    st.just({"name": "random", "shape": [3, 4, 5], "vocabulary": None}),
)
LAYER = st.one_of(
    st.builds(lambda n, scale: {"type": "dense", "units": n, "initializer": {"name": "normal", "scale": scale}},
              st.integers(1, 99), FLOATS),
    st.builds(lambda pad: {"type": "conv2d", "filters": 2, "kernel": 3, "padding": pad},
              st.sampled_from(["same", "valid", 1, [1, 2]])),
    st.just({"type": "max_pool2d", "stride": None}),
)  # fmt: skip
LAYERS = st.lists(LAYER, min_size=1, max_size=3)
MODELS = st.one_of(
    st.builds(
        lambda layers, inner: {"layers": [*layers, {"type": "residual", "layers": inner}]},
        LAYERS,
        LAYERS,
    ),
    st.builds(
        lambda hidden: {"family": "mlp", "hidden": hidden},
        st.lists(st.integers(1, 2**40), min_size=1),
    ),
    st.sampled_from(
        [{"family": "cnn", "pool": None, "kernel": [3, 5]}, {"family": "rnn", "cell": "gru"}]
    ),
)
OPTIMIZERS = st.one_of(
    st.builds(lambda lr: {"name": "adam", "lr": lr}, FLOATS),
    st.builds(
        lambda lr, m: {"name": "sgd", "lr": lr, "momentum": m, "nesterov": True},
        FLOATS,
        st.floats(0, 0.999),
    ),
)
SWEEPS = st.dictionaries(
    TEXTS,
    st.one_of(TEXTS, st.integers(), st.booleans(), st.none(), st.lists(TEXTS, max_size=3)),
    max_size=3,
)


@settings(deadline=None, max_examples=60)
@given(data=DATAS, model=MODELS, optimizer=OPTIMIZERS, sweep=SWEEPS, seed=st.integers(0, 2**63 - 1))
def test_dump_and_load_are_inverse(
    data: Any, model: Any, optimizer: Any, sweep: Any, seed: int
) -> None:
    mapping = {
        "data": data,
        "model": model,
        "train": {"optimizer": optimizer, "seed": seed},
        "sweep": sweep,
    }
    experiment = load_mapping(mapping)
    document = parse(dump(experiment), "dump")
    assert document.problems == []
    assert document.root is not None
    assert Experiment.model_validate(document.root.plain()) == experiment


@settings(deadline=None, max_examples=60)
@given(
    lr=FLOATS,
    epochs=st.integers(1, 10**9),
    hidden=st.lists(st.integers(1, 10**6), min_size=1, max_size=5),
)
def test_overrides_say_the_same_as_the_file(lr: float, epochs: int, hidden: list[int]) -> None:
    mapping = {
        **SMALL,
        "model": {"family": "mlp", "hidden": hidden},
        "train": {"epochs": epochs, "optimizer": {"name": "adam", "lr": lr}},
    }
    overrides = [f"train.optimizer.lr={lr!r}", f"train.epochs={epochs}", f"model.hidden={hidden}"]
    assert load_mapping(SMALL, overrides) == load_mapping(mapping)


@settings(deadline=None, max_examples=150)
@given(text=st.text(st.sampled_from("ab:[]{}&*!?|>-'\"%@#,\n\t 019.~<=\x01é"), max_size=40))
def test_any_text_is_an_experiment_or_a_config_error(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp(), text, "fuzz.yaml")
    with pytest.raises(ConfigError):
        load(path, [f"name={text}"])
