"""The commands around an experiment file: validate, show, list, init, schema, data, and the manners
of all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from ruamel.yaml import YAML

from nncompare import __version__, cli
from nncompare.cli import COMMANDS, call
from nncompare.cli.list_ import INITIALIZERS
from nncompare.config.json_schema import DIALECT, json_schema
from nncompare.config.load import load, to_mapping
from nncompare.data import signature
from nncompare.errors import Failed, NncompareError, Problem, UsageError
from nncompare.spec.data import DATA
from nncompare.spec.families import FAMILIES
from nncompare.spec.initializers import InitializerName
from nncompare.spec.layers import LAYERS
from nncompare.spec.runtimes import CATALOG
from nncompare.spec.training import OPTIMIZERS
from nncompare.terminal.console import _fitted

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
GOOD = "data: {name: digits}\nmodel: {family: mlp, hidden: [32]}\n"
RESIDUAL = """\
data: {name: digits}
model:
  layers:
  - type: residual
    layers:
    - {type: conv2d, filters: 4, kernel: 3, padding: same, stride: 2, bias: false}
    - {type: batch_norm}
    shortcut: [{type: conv2d, filters: 4, kernel: 1, stride: 2}]
  - {type: flatten}
  - {type: dense, units: 10}
"""
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    Path("good.yaml").write_text(GOOD, encoding="utf-8")
    Path("residual.yaml").write_text(RESIDUAL, encoding="utf-8")


def stdout_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert call(arguments) == code
    return capsys.readouterr().out


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(stdout_of(capsys, *arguments, "--json"))


def test_help_lists_every_command_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    text = stdout_of(capsys, "--help")
    assert re.findall(r"^  ([\w-]+)  ", text.partition("Commands:")[2], re.MULTILINE) == list(
        COMMANDS
    )
    # a new command may stand anywhere among them
    known = ["run", "verify", "compare-conventions", "gradcheck", "tune", "validate", "show"]
    known += ["doctor", "list", "init", "schema", "data"]
    assert [name for name in COMMANDS if name in known] == known
    assert "..." not in text.partition("Commands:")[2]  # no line of help is cut
    assert stdout_of(capsys).strip() == text.strip()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert stdout_of(capsys, "--version") == f"nncompare {__version__}\n"


def test_a_misspelt_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["shw"]) == 2
    assert "'show'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("mend this"), 2, "error: mend this"),
        (Failed("a [bold] worker"), 3, "error: a [bold] worker"),
        (NncompareError("no"), 1, "error: no"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_exit_codes(
    error: BaseException,
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str) -> Any:
        raise error

    monkeypatch.setattr(cli, "_load", fail)
    assert call(["show", "good.yaml"]) == code
    output = capsys.readouterr()
    assert (words in output.err, output.out) == (True, "")


def test_validate_says_what_is_fine_and_what_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        stdout_of(capsys, "validate", "good.yaml", "residual.yaml")
        == "ok  good.yaml      mlp, 2,410 parameters\nok  residual.yaml  layers, 702 parameters\n"
    )
    Path("bad.yaml").write_text(GOOD + "epochs: 2\n", encoding="utf-8")
    assert call(["validate", "bad.yaml", "good.yaml"]) == 2
    output = capsys.readouterr()
    assert output.out == "ok  good.yaml  mlp, 2,410 parameters\n"
    assert "bad.yaml:3:1: epochs: unknown key" in output.err


def test_validate_applies_overrides_to_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["validate", "good.yaml", "residual.yaml", "train.epochs=0"]) == 2
    output = capsys.readouterr()
    assert (
        output.err.count("train.epochs=0: train.epochs: must be greater than 0"),
        output.out,
    ) == (2, "")


def test_validate_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(GOOD + "train: {epoch: 2}\n", encoding="utf-8")
    assert call(["validate", "bad.yaml", "good.yaml", "--json"]) == 2
    output = capsys.readouterr()
    bad, good = json.loads(output.out)["files"]
    assert (bad["ok"], bad["problems"][0]["line"], bad["problems"][0]["path"]) == (
        False,
        3,
        "train.epoch",
    )
    assert (good["ok"], good["parameters"]) == (True, 2410)
    assert "did you mean 'epochs'" in output.err


def test_show_as_json_agrees_with_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    document = json_of(capsys, "show", "residual.yaml")
    experiment = load("residual.yaml")
    model = experiment.resolve(signature(experiment.data, experiment.task))
    assert document["experiment"] == to_mapping(experiment)
    assert document["signature"] == {
        "input": [8, 8, 1],
        "vocabulary": None,
        "outputs": 10,
        "per_step": False,
    }
    assert [layer["name"] for layer in document["layers"]] == ["residual_1", "flatten_1", "dense_1"]
    assert [layer["name"] for layer in document["layers"][0]["layers"]] == [
        "conv2d_1",
        "batch_norm_1",
    ]
    assert document["layers"][0]["shortcut"][0]["parameters"] == {
        "kernel": [1, 1, 1, 4],
        "bias": [4],
    }
    assert document["layers"][2]["fields"]["units"] == 10
    # 3x3 kernels 36, scale and shift 8, shortcut 8, dense 650; mean and variance of four channels
    assert (
        document["totals"]["parameters"]
        == 36 + 8 + 8 + 650
        == sum(layer["parameter_count"] for layer in document["layers"])
    )
    assert document["totals"]["running_statistics"] == 8
    assert document["totals"]["forward_flops"] == model.flops
    assert document["totals"]["flops_per_step"] == 3 * model.flops * 128


@pytest.mark.parametrize("columns", ["80", "120"])
def test_show_is_a_table_that_fits(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = stdout_of(capsys, "show", "residual.yaml").splitlines()
    rows = {
        line.split()[0]: line.split() for line in lines if line.strip() and not line.startswith("─")
    }
    assert rows["dense_1"] == ["dense_1", "units=10", "(10,)", "650", "1,290"]
    assert rows["total"][:3] == ["total", "(10,)", "702"]
    assert any(line.startswith("  batch_norm_1") for line in lines)
    assert any(line.startswith("  shortcut: conv2d_2") for line in lines)
    assert max(map(len, lines)) <= int(columns)


def test_on_a_pipe_there_are_no_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["show", "residual.yaml"],
        ["list"],
        ["--help"],
        ["show", "--help"],
        ["validate", "good.yaml"],
    ):
        assert CONTROL.search(stdout_of(capsys, *arguments)) is None
    assert call(["show", "missing.yaml"]) == 2
    assert CONTROL.search(capsys.readouterr().err) is None


def test_colour_can_be_forced_and_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;36m" in stdout_of(capsys, "show", "--help")
    assert "\x1b[36m" in stdout_of(capsys, "list", "layers")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[36m" not in stdout_of(capsys, "list", "layers")


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("column", [5, 30, 60, 79, 80, 81, 150])
def test_a_caret_stays_under_its_character_on_a_narrow_terminal(width: int, column: int) -> None:
    text = "".join(chr(0x4E00 + n) if n != column - 1 else "!" for n in range(160))
    line, caret = str(Problem(path="a", message="b", line=1, column=column, text=text)).split("\n")[
        1:
    ]
    line, caret = _fitted(line, caret, width)
    assert max(len(line), len(caret)) < width
    assert line[caret.index("^")] == "!"


def test_show_prints_a_runnable_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    text = stdout_of(
        capsys, "show", "good.yaml", "train.epochs=9", "--seed", "4", "-b", "torch", "-b", "keras"
    )
    body = text.partition("Experiment\n")[2].partition("\nModel\n")[0]
    Path("again.yaml").write_text(body, encoding="utf-8")
    again = load("again.yaml")
    assert (again.train.epochs, again.train.seed, again.backends) == (9, 4, ("torch", "keras"))
    assert again.name == "good"


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    document = json_of(capsys, "list")
    names = {
        kind: [row["name"] for row in rows]
        for kind, rows in document.items()
        if isinstance(rows, list)
    }
    assert names["layers"] == list(LAYERS)
    assert names["families"] == list(FAMILIES)
    assert names["data"] == list(DATA)
    assert names["runtimes"] == list(CATALOG)
    assert names["initializers"] == list(INITIALIZERS) == list(get_args(InitializerName))
    text = stdout_of(capsys, "list")
    for kind, entries in names.items():
        assert f"\n{kind}" in f"\n{text}"
        assert all(f"\n  {name} " in text for name in entries)


def test_list_says_what_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nncompare.spec.runtimes.importlib.util.find_spec", lambda name: None)
    row = json_of(capsys, "list", "runtimes")["runtimes"][0]
    assert (row["installed"], row["missing"]) == (
        False,
        'not installed: torch; pip install "torch>=2.7"',
    )
    assert 'not installed: torch; pip install "torch>=2.7"' in stdout_of(capsys, "list", "runtimes")


def test_list_of_one_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert stdout_of(capsys, "list", "optimizers").split()[0] == "optimizers"
    assert call(["list", "optimisers"]) == 2
    assert "did you mean 'optimizers'" in capsys.readouterr().err


@pytest.mark.parametrize("name", DATA)
def test_init_writes_a_valid_file_for_every_data_set(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "text":
        Path("input.txt").write_text("to be or not to be " * 99, encoding="utf-8")
    assert "wrote mine.yaml" in stdout_of(capsys, "init", "mine", "--data", name)
    overrides = ["data.path=input.txt"] if name == "text" else []
    experiment = load("mine.yaml", overrides, signature_of=signature)
    assert (experiment.name, experiment.data.name, experiment.task) == (
        "mine",
        name,
        DATA[name].tasks[0],
    )


def test_init_replaces_nothing_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["init", "good.yaml"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert Path("good.yaml").read_text(encoding="utf-8") == GOOD
    stdout_of(capsys, "init", "good.yaml", "--force")
    assert "# An experiment" in Path("good.yaml").read_text(encoding="utf-8")
    assert call(["init", "nowhere/new"]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert call(["init", "new", "--data", "digts"]) == 2
    assert "did you mean 'digits'" in capsys.readouterr().err
    assert not Path("new.yaml").exists()


def test_data_fetch_of_bundled_data_and_of_an_unknown_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert json_of(capsys, "data", "fetch", "digits")["path"] is None
    assert call(["data", "fetch", "mnits"]) == 2
    assert "mnist" in capsys.readouterr().err


def validator() -> jsonschema.protocols.Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_satisfy_the_schema(path: Path) -> None:
    validator().validate(read(path))


@pytest.mark.parametrize(
    ("model", "valid"),
    [
        (
            {"family": "cnn", "kernel": 3, "padding": 1, "pool": None, "initializer": "orthogonal"},
            True,
        ),
        (
            {"family": "cnn", "kernel": [3, 5], "initializer": {"name": "normal", "scale": 0.1}},
            True,
        ),
        (
            {
                "layers": [
                    {"type": "residual", "layers": [{"type": "conv2d", "filters": 3, "stride": 2}]}
                ]
            },
            True,
        ),
        ({"family": "mlp", "hidden": 64}, False),
        ({"family": "mlp", "hiden": [64]}, False),
        ({"family": "mlp", "initializer": "glorot"}, False),
        ({"family": "cnn", "kernel": "3"}, False),
        ({"layers": [{"type": "dens", "units": 3}]}, False),
    ],
)
def test_the_schema_knows_what_load_accepts(model: dict[str, Any], valid: bool) -> None:
    assert validator().is_valid({"data": {"name": "digits"}, "model": model}) is valid


def descriptions(schema: Any, path: str = "") -> Iterator[tuple[str, str | None]]:
    """Where a key or a mapping is described, and how."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from descriptions(item, f"{path}/{index}")
    if not isinstance(schema, dict):
        return
    for name, key in schema.get("properties", {}).items():
        yield f"{path}.{name}", key.get("description")
    for name, mapping in schema.get("$defs", {}).items():
        yield name, mapping.get("description")
    for name, value in schema.items():
        yield from descriptions(value, f"{path}/{name}")


def test_every_key_of_the_schema_is_described_for_editors() -> None:
    found = dict(descriptions(json_schema()))
    assert len(found) > 260
    assert [path for path, text in found.items() if not text] == []
    assert found["/$defs/Adam.name"] == OPTIMIZERS["adam"].title
    marks = [
        text for text in found.values() if text and ("``" in text or "](" in text or "\n" in text)
    ]
    assert marks == []


def whole_numbers(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Where a whole number may stand, and what bounds it."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from whole_numbers(item, f"{path}/{index}")
    if isinstance(schema, dict):
        if schema.get("type") == "integer":
            yield path, schema
        for name, value in schema.items():
            yield from whole_numbers(value, f"{path}/{name}")


def test_every_whole_number_is_bounded() -> None:
    found = dict(whole_numbers(json_schema()))
    assert len(found) > 60
    bounds = {"maximum", "exclusiveMaximum"}
    free = [path for path, schema in found.items() if not bounds & set(schema)]
    # the ends of a range are checked as values of what they range over
    assert [path for path in free if "/Dimension/properties/" not in path] == []


def test_schema_command(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(stdout_of(capsys, "schema"))
    assert (document["$schema"], document["title"]) == (DIALECT, "nncompare experiment")
    assert "hidden" in document["$defs"]["Mlp"]["properties"]
