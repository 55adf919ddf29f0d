"""The native convention is the frameworks' own, values of the file win, and the ledger says what
differs.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nncompare.backends.native import open_values
from nncompare.records.ledger import ledger
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.layers import LAYERS
from nncompare.spec.runtimes import CATALOG
from nncompare.spec.training import OPTIMIZERS
from tests.native.cases import CASES

OPEN = open_values()
ROOT = Path(__file__).resolve().parents[2]
BACKENDS = ("torch", "tensorflow", "keras")
TIMEOUT_S = 600
GATE = 1e-12

needs = {name: getattr(pytest.mark, f"needs_{name}") for name in BACKENDS}
every_backend = pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=needs[name]) for name in BACKENDS]
)
pytestmark = pytest.mark.timeout(TIMEOUT_S + 60)  # the first test waits for the workers

Seen = Callable[[str, str], Any]


@pytest.fixture(scope="session")
def workers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, dict[str, subprocess.Popen[bytes]]]]:
    """One process a framework, all at once."""
    folder, running = tmp_path_factory.mktemp("native"), {}
    for name in BACKENDS:
        if CATALOG[name].missing() is None:
            environment = {
                **os.environ,
                **CATALOG[name].environment,
                "OMP_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
            }
            command = [
                sys.executable,
                "-m",
                "tests.native.worker",
                name,
                str(folder / f"{name}.json"),
            ]
            with (folder / f"{name}.log").open("wb") as log:
                running[name] = subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=log, stderr=log
                )
    yield folder, running
    for worker in running.values():
        if worker.poll() is None:
            worker.kill()
            worker.wait()


@pytest.fixture
def seen(workers: tuple[Path, dict[str, subprocess.Popen[bytes]]]) -> Seen:
    folder, running = workers

    def look(backend: str, name: str) -> Any:
        if reason := CATALOG[backend].missing():
            pytest.skip(reason)
        assert running[backend].wait(TIMEOUT_S) == 0, (folder / f"{backend}.log").read_text(
            errors="replace"
        )[-3000:]
        found = json.loads((folder / f"{backend}.json").read_text())[name]
        assert "value" in found, found.get("error")
        return found["value"]

    return look


def test_every_number_with_a_default_is_open():
    """A number is the framework's choice, unless it says how a parameter starts. What has no number
    is mostly structure (strides, whether there is a bias), which the file decides.
    """
    parts: list[tuple[str, Any]] = [*LAYERS.items(), *OPTIMIZERS.items()]
    numbers = {
        f"{kind}.{name}"
        for kind, part in parts
        for name, field in part.model_fields.items()
        if isinstance(field.default, float)
    }
    assert numbers - {"lstm.forget_bias"} <= set(OPEN)
    assert {"gelu.approximate", "sgd.nesterov"} <= set(OPEN)
    for kind, part in parts:
        assert all(not part.model_fields[name].is_required() for name in part.open_fields()), kind


@every_backend
def test_every_open_value_has_a_native_default(seen, backend):
    assert set(seen(backend, "defaults")) == set(OPEN)


@every_backend
def test_the_page_has_the_right_defaults(seen, backend):
    """The table "Values" of docs/native.md, which ``python docs/generate_defaults.py`` writes; what
    it does not list is equal everywhere.
    """
    page = (ROOT / "docs" / "native.md").read_text(encoding="utf-8")
    rows = [
        line.strip("| ").split(" | ")
        for line in page.partition("## Values")[2].splitlines()
        if "| `" in line
    ]
    column = 1 + BACKENDS.index(backend)
    found = seen(backend, "defaults")
    listed = {
        name: row[column].split()[0]
        for row in rows
        for name in re.findall(r"`([\w.]+)`", row[0])
        if name in OPEN
    }
    assert listed
    for name, text in listed.items():
        value = text == "yes" if text in ("yes", "no") else float(text)
        assert found[name] == pytest.approx(value), name
    parts: dict[str, Any] = {**LAYERS, **OPTIMIZERS}
    for name in set(OPEN) - set(listed):
        kind, _, field = name.partition(".")
        # as the page says of what it does not list
        assert found[name] == parts[kind].model_fields[field].default, name


@every_backend
def test_an_optimizer_that_no_case_names_is_refused(seen, backend):
    assert "UnheardOf" in seen(backend, "unknown_optimizer")


@every_backend
@pytest.mark.parametrize("case", CASES)
def test_trains_like_plain_framework_code(seen, backend, case):
    """Every step's loss and the logits after training: initial weights, defaults, formulas, given
    values.
    """
    found = seen(backend, case)
    ours, twin = found["ours"], found["twin"]
    assert len(ours["losses"]) == 6
    assert ours["losses"] == pytest.approx(twin["losses"], rel=GATE)
    for row, wanted in zip(ours["logits"], twin["logits"], strict=True):
        assert row == pytest.approx(wanted, abs=GATE)
    assert ours["parameters"] == twin["parameters"]


@every_backend
def test_training_moves_enough_to_show_a_wrong_rate(seen, backend):
    """The power of the comparison above: each case's loss changes by far more than its gate."""
    for case in CASES:
        losses = seen(backend, case)["twin"]["losses"]
        assert max(losses) - min(losses) > 1e-5, case


@every_backend
def test_initial_weights_follow_the_seed(seen, backend):
    found = seen(backend, "seeds")
    assert found["again"]
    assert len(found["drawn"]) >= 13
    assert found["unmoved"] == []


@every_backend
def test_weights_start_as_the_ledger_says(seen, backend):
    found = seen(backend, "starts")
    assert len(found) >= 27
    for name, figures in found.items():
        _check_start(name, figures, found)


def _check_start(name: str, figures: dict[str, Any], found: dict[str, Any]) -> None:
    words, shape = figures["words"], figures["shape"]
    fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
    if name.startswith("attention_1.") and name.endswith("kernel"):
        fan_in = fan_out = 64
    kernel = found.get(name.replace("bias", "kernel"), figures)["shape"]
    values = figures["values"]
    limits = {
        "nncompare's uniform 0.5": 0.5,
        "uniform, ±0.05": 0.05,
        "uniform, ±1/sqrt(fan_in)": (
            1 / math.sqrt(64 if "attention" in name else math.prod(kernel[:-1]))
        ),
        "uniform, ±1/sqrt(units)": 1 / math.sqrt(64 if "rnn" in name else 40),
        "xavier_uniform": math.sqrt(6 / (fan_in + fan_out)),
        "xavier_uniform, all gates as one matrix": math.sqrt(6 / (fan_in + fan_out)),
        "xavier_uniform of all three": math.sqrt(6 / (64 + 3 * 64)),
    }
    if words in limits:
        assert figures["largest"] <= limits[words] * (1 + 1e-6), (name, words)
        if math.prod(shape) >= 16:  # fewer numbers say little of their distribution
            assert figures["deviation"] == pytest.approx(limits[words] / math.sqrt(3), rel=0.3), (
                name,
                words,
            )
    elif words == "normal, deviation 1":
        assert figures["deviation"] == pytest.approx(1, rel=0.1), name
        assert figures["largest"] > 2.5, name
    elif words.startswith("orthogonal"):
        assert figures["not orthogonal"] < 1e-6, name
    elif words == "zeros, forget gate 1":
        assert values == [0.0] * 40 + [1.0] * 40 + [0.0] * 80, name
    else:
        assert {"zeros": 0.0, "ones": 1.0}[words] == figures["largest"], name
        assert figures["deviation"] == 0, name


@every_backend
def test_canonical_weights_give_the_canonical_function(seen, backend):
    """With the native epsilons and slopes. TensorFlow's GELU has float32 constants, Keras's
    attention such a factor.
    """
    found = seen(backend, "canonical")
    assert found["table/adam"] < (1e-12 if backend == "torch" else 1e-7)
    assert found["tokens/adam"] < (1e-7 if backend == "keras" else 1e-12)
    added = (
        {"lstm_1.recurrent_bias": 0.0, "rnn_1.recurrent_bias": 0.0} if backend == "torch" else {}
    )
    assert found["tokens/adam added"] == added


@every_backend
def test_a_repeated_token_takes_the_step_that_the_ledger_says(seen, backend):
    found = seen(backend, "repeated_token")
    assert found["aligned"] == pytest.approx([1, 0], abs=1e-3)
    assert found["native"] == pytest.approx([2 if backend == "keras" else 1, 0], abs=1e-3)


@every_backend
def test_an_absent_token_rests_only_where_the_ledger_says(seen, backend):
    found = seen(backend, "absent_token")
    assert found["aligned"] > 1e-3
    assert found["native"] == 0 if backend == "tensorflow" else found["native"] > 1e-3


@every_backend
def test_running_variance_is_the_estimator_that_the_ledger_says(seen, backend):
    wanted = 4 / 3 if backend == "torch" else 1
    assert seen(backend, "running_variance") == pytest.approx([wanted] * 6, rel=1e-9)


def _differences(seen: Seen, experiment: str, convention: str) -> dict[str, list[str | None]]:
    """Setting -> its values in torch, tensorflow, keras."""
    rows = [
        TrainedRuntime(
            runtime=name, status="ok", settings=seen(name, "settings")[f"{experiment}/{convention}"]
        )
        for name in BACKENDS
    ]
    return {entry.setting: [entry.values[name] for name in BACKENDS] for entry in ledger(rows)}


HARMLESS = {
    "engine",
    "compiled",
    "optimizer implementation",
    "recurrent kernel",
    "attention kernel",
    "onednn",
}
"""What may differ in the aligned convention: how, not what, is computed."""


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
@pytest.mark.needs_keras
@pytest.mark.parametrize("experiment", ["mlp", "cnn", "lstm"])
def test_aligned_ledger_holds_nothing_that_touches_the_mathematics(seen, experiment):
    assert set(_differences(seen, experiment, "aligned")) <= HARMLESS
    # and the settings that could differ are there, so that they were compared
    names = set(seen("torch", "settings")[f"{experiment}/aligned"])
    assert {
        "tf32",
        "threads",
        "flush denormals",
        "optimizer lr",
        "clipping by",
        "l2",
        "initial weights",
    } <= names


NOT = None  # this runtime has no such setting
UNIT = "uniform, ±1/sqrt(units)"
XAVIER, GATES = "xavier_uniform", "xavier_uniform, all gates as one matrix"
BY_FAN = "uniform, ±1/sqrt(fan_in)"
L2 = [
    "weight_decay: l2/2 * sum w^2 of all parameters, in the optimizer",
    "l2/2 * sum w^2 of kernels, in the loss",
    "l2 * sum w^2 of kernels, in the loss",
]
CLIPPING = ["global norm + 1e-06", "global norm", "global norm"]
HEAD = {
    "dense.kernel starts": [BY_FAN, XAVIER, XAVIER],
    "dense.bias starts": [BY_FAN, "zeros", "zeros"],
}
COMMON = {"clipping by": CLIPPING, "flush denormals": ["no", "yes", "yes"], **HEAD}
NORM = {
    "batch_norm epsilon": ["1e-05", "0.001", "0.001"],
    "batch_norm momentum": ["0.1", "0.01", "0.01"],
    "batch_norm running variance": ["unbiased", "biased", "biased"],
}
BEFORE = "after the root, before bias correction"
NATIVE: dict[str, dict[str, list[str | None]]] = {
    "mlp": {
        **COMMON,
        **NORM,
        "layer_norm epsilon": ["1e-05", "1e-06", "0.001"],
        "leaky_relu slope": ["0.01", "0.2", "0.3"],
        "optimizer epsilon": ["1e-08", "1e-08", "1e-07"],
        "optimizer weight_decay": ["0.01", "0.01", "0.004"],
        "epsilon placement": ["after the root, after bias correction", BEFORE, BEFORE],
        "bias correction in": ["float64", "float32", "float32"],
        # AdamW's decay is another thing, so that L2 stays a term of the loss
        "l2": [L2[2], L2[1], L2[2]],
    },
    "cnn": {
        **COMMON,
        **NORM,
        "avg_pool2d padding": ["counted", "not counted", "not counted"],
        "optimizer lr": ["0.01", "0.001", "0.001"],
        "optimizer rho": ["0.99", "0.9", "0.9"],
        "optimizer epsilon": ["1e-08", "1e-10", "1e-07"],
        "epsilon placement": ["after the root", "under the root", "under the root"],
        "rate of old gradients": ["the current step's", "their own steps'", "their own steps'"],
        "mean square starts at": ["0", "1", "0"],
        "l2": list(L2),
        "conv2d.kernel starts": [BY_FAN, XAVIER, XAVIER],
        "conv2d.bias starts": [BY_FAN, "zeros", "zeros"],
    },
    "lstm": {
        **COMMON,
        "clipping by": [CLIPPING[0], *["global norm, of tables token by token"] * 2],
        "optimizer lr": ["0.001", "0.01", "0.01"],
        "rate of old gradients": ["the current step's", "the current step's", "their own steps'"],
        "l2": list(L2),
        "embedding gradient": [
            "repeated tokens summed, then the update",
            "repeated tokens summed; rows without a token keep their state",
            "repeated tokens summed, then the update",
        ],
        "lstm trained biases": ["2, used as their sum", "1", "1"],
        "rnn trained biases": ["2, used as their sum", "1", "1"],
        "embedding.table starts": ["normal, deviation 1", XAVIER, "uniform, ±0.05"],
        "position.table starts": ["normal, deviation 1", XAVIER, "uniform, ±0.05"],
        "lstm.kernel starts": [UNIT, GATES, GATES],
        "lstm.recurrent_kernel starts": [UNIT, GATES, "orthogonal, all gates as one matrix"],
        "lstm.bias starts": [UNIT, "zeros, forget gate 1", "zeros, forget gate 1"],
        "lstm.recurrent_bias starts": [UNIT, NOT, NOT],
        "rnn.kernel starts": [UNIT, XAVIER, XAVIER],
        "rnn.recurrent_kernel starts": [UNIT, XAVIER, "orthogonal"],
        "rnn.bias starts": [UNIT, "zeros", "zeros"],
        "rnn.recurrent_bias starts": [UNIT, NOT, NOT],
        "gru.kernel starts": [UNIT, GATES, GATES],
        "gru.recurrent_kernel starts": [UNIT, GATES, "orthogonal, all gates as one matrix"],
        "gru.bias starts": [UNIT, "zeros", "zeros"],
        "gru.recurrent_bias starts": [UNIT, "zeros", "zeros"],
        **{
            f"attention.{name}_kernel starts": ["xavier_uniform of all three", XAVIER, XAVIER]
            for name in ("query", "key", "value")
        },
        "attention.output_kernel starts": [BY_FAN, XAVIER, XAVIER],
    },
}


@pytest.mark.needs_torch
@pytest.mark.needs_tensorflow
@pytest.mark.needs_keras
@pytest.mark.parametrize("experiment", NATIVE)
def test_native_ledger_holds_the_known_differences(seen, experiment):
    found = _differences(seen, experiment, "native")
    assert {name: values for name, values in found.items() if name not in HARMLESS} == NATIVE[
        experiment
    ]
