"""What the conformance suite does not ask of the Keras backend.

``python -m tests.backends.test_keras FILE`` is the one process that holds Keras: it runs every probe
and writes what each found as JSON; the tests judge that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompare.backends.base import Piece
from nncompare.numerics import reference, updates
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.job import Job
from nncompare.spec.layers import LAYERS, TensorSpec
from nncompare.spec.runtimes import CATALOG
from nncompare.testing.case import Case
from nncompare.worker.pieces import FixedGate, pieces_of

pytestmark = [pytest.mark.needs_keras]

ROOT = Path(__file__).resolve().parents[2]
ADAM = {"optimizer": {"name": "adam", "lr": 0.01}}
DENSE = [{"type": "dense", "units": 5}, {"type": "tanh"}]
HEAD = {"type": "dense", "units": 3}
SMALL = Case(
    name="keras/small",
    layers=[*DENSE, HEAD],
    input=TensorSpec((6,)),
    examples=10,
    epochs=3,
    predicted=9,
    train=ADAM,
)
DROPPED = replace(
    SMALL, name="keras/dropped", layers=[*DENSE, {"type": "dropout", "rate": 0.5}, HEAD]
)
SINGLE = replace(SMALL, name="keras/single", train={**ADAM, "dtype": "float32"}, epochs=1)
WORDS = replace(
    SMALL,
    name="keras/words",
    layers=[{"type": "embedding", "units": 4}, {"type": "lstm", "units": 3}, HEAD],
    input=TensorSpec((5,), 7),
)

PROBES: dict[str, Callable[[], Any]] = {}


def probe(function: Callable[[], Any]) -> Callable[[], Any]:
    PROBES[function.__name__] = function
    return function


def _open(case: Case, **changes: Any) -> Any:
    from nncompare.backends.keras import BACKEND

    session = BACKEND.open(_job(case, **changes), case.data)
    session.load(case.params)
    return session


def _job(case: Case, **changes: Any) -> Job:
    # TensorFlow's deterministic operations cannot be turned off again and would keep XLA from being
    # tested.
    return replace(case.job("keras"), **{"deterministic": False, **changes})


def _plan(case: Case) -> BatchPlan:
    return case.plan(_job(case))


def _weights(session: Any) -> list[float]:
    return [
        float(value)
        for name in sorted(session.params())
        for value in session.params()[name].ravel()
    ]


@probe
def backend() -> Any:
    from nncompare.backends.keras import BACKEND

    seen = [device.kind for device in BACKEND.devices()]
    return {"versions": BACKEND.versions(), "devices": seen, "cpu": BACKEND.why_not(_job(SMALL))}


@probe
def refusals() -> Any:
    import keras

    from nncompare.backends.keras import BACKEND
    from nncompare.errors import Refused

    found = {"tpu": BACKEND.why_not(_job(SMALL, device="tpu"))}
    try:
        BACKEND.open(_job(SMALL, device="tpu"), SMALL.data)
    except Refused as error:
        found["opened"] = str(error)
    engine, version = keras.backend.backend, keras.__version__
    try:
        keras.backend.backend = lambda: "jax"
        found["engine"] = BACKEND.why_not(_job(SMALL))
        keras.backend.backend = engine
        keras.__version__ = "3.9.2"
        found["version"] = BACKEND.why_not(_job(SMALL))
    finally:
        keras.backend.backend, keras.__version__ = engine, version
    return found


@probe
def lowerings() -> Any:
    from nncompare.backends.keras import BACKEND
    from nncompare.backends.keras.lowering import UNSUPPORTED

    kinds = {kind: name for name, kind in LAYERS.items()}
    return {
        "lowered": sorted(kinds[kind] for kind in BACKEND.lowerings.aligned),
        "unsupported": sorted(kinds[kind] for kind in UNSUPPORTED),
    }


@probe
def real_keras() -> Any:
    """The model and what ``fit`` is told."""
    import keras

    session, calls = _open(SMALL), []
    fit = session._model.fit
    session._model.fit = lambda *args, **kwargs: (
        calls.append(kwargs["verbose"]),
        fit(*args, **kwargs),
    )[1]
    session.train(_plan(SMALL), FixedGate(pieces_of(_plan(SMALL), 2)))
    model = session._model
    return {
        "functional": (
            isinstance(model, keras.Model) and type(model).__module__.startswith("keras.")
        ),
        "layers": [type(layer).__module__.partition(".")[0] for layer in model.layers],
        "optimizer": isinstance(session._optimizer, keras.optimizers.Adam),
        "fits": calls,
        "compiled": model.jit_compile,
    }


@probe
def pipeline() -> Any:
    """Batches of several epochs, with blocks of two epochs and a smaller last batch."""
    import tensorflow as tf

    from nncompare.backends.keras import pipeline as module

    plan = BatchPlan(examples=10, batch_size=4, epochs=5, seed=3, learning_rate=np.zeros(15))
    x = tf.range(10)
    kept, module._ROWS = module._ROWS, 20
    try:
        found = [
            (a.numpy().tolist(), b.numpy().tolist()) for a, b in module.batches(x, x * 2, plan)
        ]
    finally:
        module._ROWS = kept
    return {"found": found, "wanted": [plan.rows(step).tolist() for step in range(plan.steps)]}


@probe
def interrupted_by_predictions() -> Any:
    """Training with and without a prediction between two pieces."""
    results = []
    for busy in (False, True):
        session = _open(SMALL)
        predict = (
            (lambda _piece, session=session: session.predict(SMALL.data.test.x)) if busy else None
        )
        gate = FixedGate(pieces_of(_plan(SMALL), 2), before=predict)
        session.train(_plan(SMALL), gate)
        results.append([gate.losses, _weights(session)])
    return results


@probe
def fresh_after_load() -> Any:
    """Two trainings in one session, each after ``load``; the second with a shorter plan first."""
    session, results = _open(SMALL), []
    short = _plan(replace(SMALL, epochs=1))
    for plan in (_plan(SMALL), short, _plan(SMALL)):
        session.load(SMALL.params)
        gate = FixedGate(pieces_of(plan))
        session.train(plan, gate)
        results.append(gate.losses)
    return results


@probe
def jumping_gate() -> Any:
    try:
        _open(SMALL).train(_plan(SMALL), FixedGate([Piece(0, 1, 0), Piece(2, 3, 0)]))
    except RuntimeError as error:
        return str(error)
    return None


@probe
def no_pieces() -> Any:
    session = _open(SMALL)
    before = _weights(session)
    session.train(_plan(SMALL), FixedGate([]))
    return before == _weights(session)


@probe
def framework_dropout() -> Any:
    """Keras's own masks: from the seed, another every step, none in evaluation, untouched by
    questions.
    """
    results = {}
    for name, seed, ask in (("first", 1, False), ("again", 1, True), ("other", 2, False)):
        session = _open(DROPPED, dropout="framework", seed=seed)
        if ask:
            session.loss_and_gradients(np.arange(4))
            session.outputs(DROPPED.data.train.x[:4], training=True)
        gate = FixedGate(pieces_of(_plan(DROPPED), 1))
        session.train(_plan(DROPPED), gate)
        results[name] = gate.losses
    session = _open(DROPPED, dropout="framework")
    batch = DROPPED.data.train.x[:4]
    results["evaluation"] = float(
        np.abs(
            session.predict(batch) - reference.forward(DROPPED.model, DROPPED.params, batch)
        ).max()
    )
    return results


@probe
def ends_with_softmax() -> Any:
    """Keras's losses would look through the last activation; the loss is that of its values as
    logits.
    """
    found = []
    for task, kind, outputs in (("classification", "softmax", 3), ("binary", "sigmoid", 1)):
        layers = [{"type": "dense", "units": outputs}, {"type": kind}]
        case = replace(SMALL, name=f"keras/{kind}", layers=layers, outputs=outputs, task=task)
        value, _ = _open(case).loss_and_gradients(np.arange(4))
        x, y = case.data.train.x[:4], case.data.train.y[:4]
        found.append([value, reference.loss(case.model, case.task, case.params, x, y)])
    return found


@probe
def single_precision() -> Any:
    """The first Adam step in float32, after float64 sessions in this process, against the formula
    in float64.
    """
    params = {name: array.astype(np.float32) for name, array in SINGLE.params.items()}
    session = _open(SINGLE)
    rows = _plan(SINGLE).rows(0)
    _, gradients = session.loss_and_gradients(rows)
    session.train(_plan(SINGLE), FixedGate([Piece(0, 1, 0)]))
    trained = session.params()
    optimizer = SINGLE.experiment.train.optimizer.model_copy(update={"epsilon": 1e-3})
    adam = replace(SINGLE, train={"optimizer": optimizer.model_dump(), "dtype": "float32"})
    eager = _open(adam)
    eager.train(_plan(adam), FixedGate([Piece(0, 1, 0)]))
    wanted, _ = updates.step(optimizer, updates.State(), params, gradients, 0.01)
    moved = {name: np.abs(eager.params()[name] - wanted[name]).max() for name in gradients}
    return {
        "dtypes": sorted(
            {str(array.dtype) for array in trained.values()}
            | {str(session.predict(params_x()).dtype)}
        ),
        "worst": float(max(moved.values())),
    }


def params_x() -> np.ndarray[Any, Any]:
    return SINGLE.data.test.x


@probe
def bias_correction() -> Any:
    """The scalars of Adam's first steps in float32: rate and epsilon as the optimizer computes
    them.
    """
    import keras

    from nncompare.backends.keras.optimizers import AlignedAdam

    keras.config.set_floatx("float32")
    optimizer = AlignedAdam(0.001, epsilon=1e-8)
    optimizer.build([keras.Variable(np.zeros(3, np.float32))])
    found = []
    for step in (1, 2, 1000):
        optimizer.iterations.assign(step - 1)
        rate, epsilon = (
            float(value) for value in optimizer._corrected(np.float32(0.001), "float32")
        )
        root = np.sqrt(1 - 0.999**step)
        found.append([rate / (0.001 * root / (1 - 0.9**step)) - 1, epsilon / (1e-8 * root) - 1])
    return found


@probe
def xla() -> Any:
    """``keras:xla`` next to ``keras``: the same mathematics, and really compiled."""
    results = {}
    for runtime in ("keras", "keras:xla"):
        session = _open(WORDS, runtime=runtime, deterministic=runtime == "keras:xla")
        gate = FixedGate(pieces_of(_plan(WORDS), 1))
        session.train(_plan(WORDS), gate)
        results[runtime] = {
            "losses": gate.losses,
            "predicted": session.predict(WORDS.data.test.x).tolist(),
            "jit": session._model.jit_compile,
            "setting": session.settings()["compiled"],
            "deterministic": session.settings()["deterministic kernels"],
        }
    return results


@probe
def xla_left_out() -> Any:
    """What happens where Keras would train without XLA."""
    import keras

    from nncompare.errors import Refused

    kept = keras.layers.Dense.__init__
    try:
        keras.layers.Dense.__init__ = lambda self, *args, **kwargs: (
            kept(self, *args, **kwargs),
            setattr(self, "supports_jit", False),
        )[0]
        _open(SMALL, runtime="keras:xla")
    except Refused as error:
        return str(error)
    finally:
        keras.layers.Dense.__init__ = kept
    return None


@probe
def settings() -> Any:
    layers = [
        {"type": "attention", "heads": 2},
        {"type": "gru", "units": 3},
        {"type": "dropout", "rate": 0.1},
        HEAD,
    ]
    case = replace(SMALL, name="keras/settings", layers=layers, input=TensorSpec((5, 4)))
    return {"many": _open(case, dropout="framework").settings(), "few": _open(SMALL).settings()}


@probe
def close_frees() -> Any:
    import weakref

    session = _open(SMALL)
    session.train(_plan(SMALL), FixedGate(pieces_of(_plan(SMALL))))
    session.predict(SMALL.data.test.x)
    held = [weakref.ref(session._model), weakref.ref(session._optimizer)]
    session.close()
    return [reference() is None for reference in held]


def main(file: str) -> None:
    found = {}
    for name, function in PROBES.items():
        try:
            found[name] = {"value": function()}
        except Exception:
            found[name] = {"error": traceback.format_exc()}
    Path(file).write_text(json.dumps(found))


@pytest.fixture(scope="session")
def keras_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every probe found, and what the process printed."""
    if reason := CATALOG["keras"].missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("keras")
    environment = {
        **os.environ,
        **CATALOG["keras"].environment,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", "tests.backends.test_keras", str(folder / "found.json")]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return {**json.loads((folder / "found.json").read_text()), "stdout": run.stdout}


@pytest.fixture
def seen(keras_process: dict[str, Any]) -> Callable[[str], Any]:
    def look(name: str) -> Any:
        result = keras_process[name]
        assert "value" in result, result.get("error")
        return result["value"]

    return look


def test_prints_nothing(keras_process):
    assert keras_process["stdout"] == ""


def test_names_its_versions_and_devices(seen):
    found = seen("backend")
    assert set(found["versions"]) == {"keras", "tensorflow"}
    assert found["devices"][-1] == "cpu"
    assert found["cpu"] is None


def test_refuses_with_the_reason(seen):
    found = seen("refusals")
    assert "no tpu here" in found["tpu"]
    assert found["opened"] == found["tpu"]
    assert "KERAS_BACKEND=tensorflow" in found["engine"]
    assert '3.9.2 is too old, 3.10 is needed: pip install -U "keras>=3.10"' in found["version"]


def test_every_layer_is_lowered_or_said_to_be_unsupported(seen):
    found = seen("lowerings")
    assert sorted(found["lowered"] + found["unsupported"]) == sorted(LAYERS)


def test_trains_a_functional_model_with_one_silent_fit(seen):
    found = seen("real_keras")
    assert found["functional"]
    assert set(found["layers"]) == {"keras"}
    assert found["optimizer"]
    assert found["fits"] == [0]
    assert found["compiled"] is False


def test_pipeline_yields_the_batches_of_the_plan(seen):
    found = seen("pipeline")
    assert [x for x, _ in found["found"]] == found["wanted"]
    assert [y for _, y in found["found"]] == [[2 * row for row in rows] for rows in found["wanted"]]


def test_predictions_between_pieces_change_nothing(seen):
    quiet, busy = seen("interrupted_by_predictions")
    assert len(quiet[0]) == 6
    assert quiet == busy


def test_load_starts_training_afresh(seen):
    first, short, again = seen("fresh_after_load")
    assert first == again
    assert short == first[:1]


def test_a_gate_that_jumps_is_an_error(seen):
    assert seen("jumping_gate") == "the gate handed out step 2 after step 0"


def test_a_gate_without_pieces_trains_nothing(seen):
    assert seen("no_pieces") is True


def test_framework_dropout_follows_the_seed(seen):
    found = seen("framework_dropout")
    assert found["first"] == found["again"]
    assert found["first"] != found["other"]
    assert found["evaluation"] < 1e-12


def test_a_last_softmax_or_sigmoid_is_not_taken_back_by_the_loss(seen):
    for ours, wanted in seen("ends_with_softmax"):
        assert ours == pytest.approx(wanted, rel=1e-13)


def test_float32_after_float64(seen):
    found = seen("single_precision")
    assert found["dtypes"] == ["float32"]
    assert found["worst"] < 5e-7


def test_bias_correction_is_not_rounded_to_float32(seen):
    # Keras's own first step is off by 2e-5
    assert np.abs(seen("bias_correction")).max() < 2e-7


def test_xla_computes_the_same(seen):
    found = seen("xla")
    plain, compiled = found["keras"], found["keras:xla"]
    assert (plain["jit"], compiled["jit"]) == (False, True)
    assert (plain["setting"], compiled["setting"]) == ("tf.function", "XLA")
    assert (plain["deterministic"], compiled["deterministic"]) == ("no", "yes")
    assert compiled["losses"] == pytest.approx(plain["losses"], rel=1e-12)
    assert np.array(compiled["predicted"]) == pytest.approx(np.array(plain["predicted"]), abs=1e-12)


def test_xla_that_keras_leaves_out_is_refused(seen):
    assert "leaves XLA out" in seen("xla_left_out")


def test_settings_name_what_is_in_the_model(seen):
    found = seen("settings")
    rare = {"dropout masks from", "recurrent kernel", "attention kernel"}
    assert rare <= set(found["many"])
    assert not rare & set(found["few"])
    assert found["few"]["threads"] == "1"
    assert found["few"]["tf32"] == "off"
    assert found["many"]["dropout masks from"] == "the framework"


def test_close_frees_the_model(seen):
    assert seen("close_frees") == [True, True]


if __name__ == "__main__":
    main(sys.argv[1])
