"""The PyTorch backend beyond the conformance suite: devices, refusals, settings, and what must not
change.

PyTorch is imported in one child process only, ``python -m tests.backends.test_torch``, since no
process may hold two frameworks. Every ``check_*`` function below runs there with plain asserts;
each is one test here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from nncompare.backends.base import Device, Params, Session
from nncompare.data.base import Data, Split
from nncompare.errors import Refused
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.schedules import make_plan
from nncompare.spec.data import Signature
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.layers import TensorSpec
from nncompare.spec.layers.activation import Relu
from nncompare.spec.runtimes import CATALOG
from nncompare.worker.pieces import FixedGate, pieces_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 20
DENSE: dict[str, Any] = {"family": "mlp", "hidden": [8], "batch_norm": True, "dropout": 0.5}
IMAGE: dict[str, Any] = {"family": "cnn", "filters": [4], "hidden": [6], "batch_norm": True}


def make_job(
    model: dict[str, Any], shape: tuple[int, ...] = (6,), runtime: str = "torch", **more: Any
) -> Job:
    """A classification of ``EXAMPLES`` examples in batches of 8, so that the last one has 4."""
    train = {"epochs": 2, "batch_size": 8, "optimizer": {"name": "adam"}, **more.pop("train", {})}
    data = {"name": "random", "shape": shape, "outputs": 3, "examples": 100}
    experiment = Experiment.model_validate({"data": data, "model": model, "train": train})
    signature = Signature(input=TensorSpec(shape), outputs=3)
    return Job(runtime=runtime, experiment=experiment, signature=signature, device="cpu", **more)


def make_data(job: Job, examples: int = EXAMPLES) -> Data:
    stream = np.random.default_rng(0)
    x = stream.normal(size=(examples, *job.signature.input.shape)).astype(job.dtype)
    y = stream.integers(0, 3, examples).astype(np.int32)
    x.flags.writeable = y.flags.writeable = False  # what a memory map gives
    part = Split(x=x, y=y)
    return Data(train=part, validation=part, test=part, signature=job.signature)


def opened(job: Job) -> Session:
    from nncompare.backends.torch import BACKEND

    session = BACKEND.open(job, make_data(job))
    session.load(initial_params(job.model, job.seed))
    return session


def plan_of(job: Job) -> BatchPlan:
    return make_plan(job.experiment.train, EXAMPLES, job.seed)


def trained(session: Session, job: Job, begin: int = 0) -> Params:
    plan = plan_of(job)
    session.train(plan, FixedGate([piece for piece in pieces_of(plan, 1) if piece.begin >= begin]))
    return session.params()


def equal(a: Params, b: Params) -> bool:
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)


@contextmanager
def seeing(*devices: Device) -> Iterator[None]:
    with mock.patch("nncompare.backends.torch.device.devices", return_value=list(devices)):
        yield


def why_not(job: Job) -> str:
    from nncompare.backends.torch import BACKEND

    return BACKEND.why_not(job) or ""


CPU = Device(kind="cpu", id="cpu", name="some processor")


# --- devices
# ------------------------------------------------------------------------------------------------


def check_the_cpu_is_always_there_and_last() -> None:
    from nncompare.backends.torch import BACKEND

    assert BACKEND.devices()[-1].id == "cpu"
    assert opened(make_job(DENSE)).device.kind == "cpu"


def check_a_device_that_is_not_there_is_refused_with_what_is() -> None:

    with seeing(CPU):
        reason = why_not(replace(make_job(DENSE), device="gpu"))
    assert "no gpu" in reason
    assert "some processor" in reason


def check_gpus_come_first_and_rocm_is_named() -> None:
    import torch

    from nncompare.backends.torch.device import devices

    with (
        mock.patch.object(torch.cuda, "is_available", return_value=True),
        mock.patch.object(torch.cuda, "device_count", return_value=2),
        mock.patch.object(torch.cuda, "get_device_name", side_effect=lambda i: f"card {i}"),
        mock.patch.object(torch.version, "hip", "6.2"),
    ):
        found = devices()
    assert [device.id for device in found] == ["cuda:0", "cuda:1", "cpu"], found
    assert found[1].name == "card 1, ROCm 6.2", found


def check_a_tpu_is_found_through_torch_xla_and_a_broken_one_is_not() -> None:
    from nncompare.backends.torch import device

    def xla(hardware: str) -> Any:
        model = SimpleNamespace(xla_device_hw=lambda _: hardware)
        return SimpleNamespace(device=lambda: "xla:0", core=SimpleNamespace(xla_model=model))

    with mock.patch.object(device.importlib.util, "find_spec", return_value=object()):
        with mock.patch.object(device, "_xla", return_value=xla("TPU")):
            assert device.devices()[0] == Device(kind="tpu", id="xla:0", name="TPU")
        with mock.patch.object(device, "_xla", return_value=xla("CPU")):
            assert all(found.kind != "tpu" for found in device.devices())
        with mock.patch.object(device, "_xla", side_effect=ImportError("libtpu")):
            assert all(found.kind != "tpu" for found in device.devices())


def check_float64_is_refused_where_the_hardware_has_none() -> None:

    job = replace(make_job(DENSE, train={"dtype": "float64"}), device="auto")
    with seeing(Device(kind="gpu", id="mps", name="M3"), CPU):
        assert "float64" in why_not(job)
        assert "mps" in why_not(job)
        assert why_not(replace(job, device="cpu")) == ""
    with seeing(Device(kind="tpu", id="xla:0", name="TPU"), CPU):
        assert "float64" in why_not(job)


# --- refusals
# ------------------------------------------------------------------------------------------------


def check_an_unknown_mode_is_refused() -> None:
    assert "torch:compile" in why_not(make_job(DENSE, runtime="torch:xla"))


def check_compile_says_what_is_missing() -> None:
    job = make_job(DENSE, runtime="torch:compile")
    with mock.patch.dict(os.environ, {"PATH": "", "CXX": "no-such-compiler"}):
        assert "no-such-compiler" in why_not(job)
        assert why_not(make_job(DENSE)) == "", "the plain runtime needs no compiler"
    with (
        mock.patch("shutil.which", return_value="/usr/bin/g++"),
        mock.patch("sysconfig.get_path", return_value="/nowhere"),
    ):
        assert "/nowhere" in why_not(job)

    with (
        seeing(Device(kind="gpu", id="cuda:0", name="card"), CPU),
        mock.patch("importlib.util.find_spec") as find,
    ):
        find.return_value = None
        assert "triton" in why_not(replace(job, device="gpu"))


def check_a_layer_without_lowering_is_refused_by_name() -> None:
    from nncompare.backends.registry import Unsupported
    from nncompare.backends.torch.lowering import LOWERINGS, UNSUPPORTED
    from nncompare.backends.torch.session import TorchSession

    job = make_job(DENSE)
    gone = {kind: make for kind, make in LOWERINGS.aligned.items() if kind is not Relu}
    with (
        mock.patch.object(LOWERINGS, "aligned", gone),
        mock.patch.dict(UNSUPPORTED, {Relu: "too simple"}),
    ):
        assert why_not(job) == "relu: too simple"
        with pytest.raises(Unsupported, match="too simple"):
            TorchSession(job, make_data(job), CPU)


def check_batch_norm_refuses_a_batch_of_one() -> None:
    from nncompare.backends.torch import BACKEND

    job = make_job(DENSE)
    with pytest.raises(Refused, match=r"17 examples, batch_size 8.*batch_norm"):
        BACKEND.open(job, make_data(job, examples=17))
    image = make_job(IMAGE, (6, 6, 1))
    assert BACKEND.open(image, make_data(image, examples=17)), "an image has many values a channel"


def check_load_refuses_other_parameters() -> None:
    session = opened(make_job(DENSE))
    good = session.params()
    wrong_shape = {**good, "dense_1.kernel": good["dense_1.kernel"].T}
    wrong_names = {name: array for name, array in good.items() if name != "dense_1.kernel"}
    for bad in (wrong_shape, wrong_names):
        with pytest.raises((KeyError, ValueError), match=r"dense_1\.kernel"):
            session.load(bad)
    assert equal(session.params(), good)


# --- what must not change
# --------------------------------------------------------------------------------------------


def check_looking_changes_nothing() -> None:
    """With PyTorch's own dropout and with batch norm, where a careless look would draw numbers or
    move statistics.
    """
    job = make_job(DENSE)
    session = opened(job)
    undisturbed = trained(session, job)
    session.load(initial_params(job.model, job.seed))
    plan = plan_of(job)

    def look(_piece: Any) -> None:
        before = session.params()
        x = make_data(job).train.x
        session.loss_and_gradients(np.arange(5))
        session.outputs(x, training=True)
        session.outputs(x)
        session.predict(x)
        assert equal(session.params(), before)

    session.train(plan, FixedGate(pieces_of(plan, 1), before=look))
    assert equal(session.params(), undisturbed)


def check_training_can_be_repeated_and_moves_every_parameter() -> None:
    job = make_job(IMAGE, (6, 6, 1))
    session = opened(job)
    start = session.params()
    first = trained(session, job)
    assert not any(np.array_equal(start[name], first[name]) for name in start), (
        "a parameter stood still"
    )
    session.load(start)
    assert equal(trained(session, job), first)


def check_params_are_copies_and_data_stay() -> None:
    job = make_job(DENSE)
    data = make_data(job)
    kept = data.train.x.copy()
    session = opened(job)
    taken = session.params()
    for array in taken.values():
        array += 1
    assert not equal(session.params(), taken)
    trained(session, job)
    assert np.array_equal(data.train.x, kept)


def check_the_second_bias_of_an_lstm_stays_zero() -> None:
    job = make_job({"family": "rnn", "cell": "lstm", "hidden": 5}, (4, 3))
    session = opened(job)
    trained(session, job)
    cell = session._build.modules["lstm_1"].cell
    assert not cell.bias_hh_l0.any()
    assert cell.bias_ih_l0.all()


def check_images_stay_in_channels_last_memory() -> None:
    """A copy in another layout would be right and slow."""
    import torch

    session = opened(make_job(IMAGE, (6, 6, 2)))
    weight = session._build.modules["conv2d_1"].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    seen: dict[str, bool] = {}
    for name in ("conv2d_1", "batch_norm_1", "relu_1", "max_pool2d_1"):
        session._build.modules[name].register_forward_hook(
            lambda _m, _i, y, name=name: seen.update(
                {name: y.is_contiguous(memory_format=torch.channels_last)}
            )
        )
    session._build.modules["flatten_1"].register_forward_hook(
        lambda _m, i, y: seen.update(flatten_1=y.data_ptr() == i[0].data_ptr())
    )
    session.loss_and_gradients(np.arange(4))
    assert seen == dict.fromkeys(seen, True)
    assert len(seen) == 5


# --- settings and optimizers
# -----------------------------------------------------------------------------------------


def check_settings_are_those_in_effect() -> None:
    import torch

    with mock.patch.dict(os.environ):
        found = opened(make_job(DENSE, threads=1, deterministic=True, dropout="masks")).settings()
        assert found["deterministic kernels"] == "yes"
        assert torch.are_deterministic_algorithms_enabled()
        assert found["dropout masks from"] == "nncompare"
    found = opened(make_job(DENSE, threads=2)).settings()
    assert found["threads"] == "2"
    assert torch.get_num_threads() == 2
    assert found["deterministic kernels"] == "no"
    assert not torch.are_deterministic_algorithms_enabled()
    assert found.get("inter-op threads", "1") == str(torch.get_num_interop_threads())
    assert found["tf32"] == "off"
    assert not torch.backends.cudnn.allow_tf32
    assert found["compiled"] == "no"
    assert found["dropout masks from"] == "the framework"
    assert found["optimizer implementation"] == "torch.optim, fused"
    assert found["epsilon placement"] == "after the root, after bias correction"
    assert "recurrent kernel" not in found
    assert "attention kernel" not in found
    assert all(isinstance(value, str) for value in found.values())
    flushed = (torch.tensor([1e-39]) * torch.tensor([0.5])).item() == 0
    assert found["flush denormals"] == ("yes" if flushed else "no")
    recurrent = make_job({"family": "rnn", "cell": "lstm", "hidden": 2}, (4, 3))
    assert opened(recurrent).settings()["recurrent kernel"].startswith("nn.LSTM")


def check_the_optimizer_is_the_one_reported() -> None:
    job = make_job(DENSE)
    assert opened(job)._optimizer.defaults["fused"] is True
    rms = make_job(DENSE, train={"optimizer": {"name": "rmsprop"}})
    assert opened(rms).settings()["optimizer implementation"] == "torch.optim, for-loop"
    assert opened(rms).settings()["epsilon placement"] == "after the root"


def check_nesterov_without_momentum_is_plain_descent() -> None:
    plain, nesterov = (
        make_job({"family": "mlp"}, train={"optimizer": {"name": "sgd", "nesterov": flag}})
        for flag in (False, True)
    )
    assert equal(trained(opened(plain), plain), trained(opened(nesterov), nesterov))


def check_clipping_has_no_epsilon_and_survives_zero() -> None:
    import torch

    from nncompare.backends.torch.optimizers import clip_by_global_norm

    gradients = [
        torch.full((4,), 3e-6, dtype=torch.float64),
        torch.full((9,), 2e-6, dtype=torch.float64),
    ]
    clip_by_global_norm(gradients, 1e-9)
    norm = torch.cat(gradients).norm().item()
    assert abs(norm / 1e-9 - 1) < 1e-12, norm
    zero, small = [torch.zeros(3)], [torch.ones(2)]
    clip_by_global_norm(zero, 1.0)
    clip_by_global_norm(small, 10.0)
    assert not zero[0].any()
    assert (small[0] == 1).all()


def check_float32_in_float32_out() -> None:
    job = make_job(DENSE)
    session = opened(job)
    arrays = [session.predict(make_data(job).test.x), *session.params().values()]
    arrays += [
        *session.loss_and_gradients(np.arange(3))[1].values(),
        *session.outputs(make_data(job).test.x).values(),
    ]
    assert {array.dtype for array in arrays} == {np.dtype("float32")}
    assert session.peak_bytes() is None, "the worker reads the process's memory on a CPU"
    session.close()


def check_versions_name_what_computes() -> None:
    import torch

    from nncompare.backends.torch import BACKEND

    found = BACKEND.versions()
    assert found["torch"] == torch.__version__
    assert all(found.values())


# --- torch.compile
# ------------------------------------------------------------------------------------------------


def check_slow_compiled_training_equals_eager_and_compiles_twice() -> None:
    """Two graphs: the full batch and the shorter last one."""
    from torch._dynamo.utils import counters

    model = {"family": "cnn", "filters": [3], "hidden": [5], "batch_norm": True}
    train = {"dtype": "float64", "epochs": 3, "penalty": {"l2": 0.01}, "clip_norm": 0.5}
    eager, compiled = (
        make_job(model, (6, 6, 1), runtime, train=train) for runtime in ("torch", "torch:compile")
    )
    if reason := why_not(compiled):
        assert "torch.compile needs" in reason
        return
    wanted = trained(opened(eager), eager)
    session = opened(compiled)
    assert session.settings()["compiled"].startswith("yes")
    found = trained(session, compiled)
    assert max(np.abs(found[name] - wanted[name]).max() for name in wanted) < 1e-10
    assert counters["stats"]["unique_graphs"] == 2, dict(counters["stats"])
    session.close()


# --- the child process
# -----------------------------------------------------------------------------------------------

CHECKS = [name for name in list(globals()) if name.startswith("check_")]


def run_checks(names: list[str]) -> dict[str, str | None]:
    """Check -> None or its traceback."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            globals()[name]()
            found[name] = None
        except (Exception, pytest.fail.Exception):  # the latter is not an Exception
            found[name] = traceback.format_exc()
    return found


def in_child(names: list[str]) -> dict[str, str | None]:
    if reason := CATALOG["torch"].missing():
        pytest.skip(reason)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-W",
        "error::UserWarning:nncompare",
        "-m",
        "tests.backends.test_torch",
        *names,
    ]
    child = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    assert child.returncode == 0, child.stderr[-3000:]
    found: dict[str, str | None] = json.loads(child.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def quick() -> dict[str, str | None]:
    return in_child([name for name in CHECKS if not name.startswith("check_slow_")])


@pytest.mark.needs_torch
@pytest.mark.parametrize("name", [name for name in CHECKS if not name.startswith("check_slow_")])
def test_torch(quick: dict[str, str | None], name: str) -> None:
    assert quick[name] is None, quick[name]


@pytest.mark.slow
@pytest.mark.needs_torch
@pytest.mark.parametrize("name", [name for name in CHECKS if name.startswith("check_slow_")])
def test_torch_compile(name: str) -> None:
    found = in_child([name])
    assert found[name] is None, found[name]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run_checks(sys.argv[1:])) + "\n")
