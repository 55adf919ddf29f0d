"""What every session does alike, asked of one that computes nothing."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest

from nncompare.backends.base import EVALUATION_BATCH, Array, Device, Params, Piece
from nncompare.backends.session import LoopSession
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.data import Signature
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.layers import TensorSpec
from nncompare.worker.pieces import FixedGate, pieces_of

ADDED = "dense_1.second_bias"


class Recording(LoopSession):
    """Keeps its parameters in a dictionary, and writes down what it is told.

    Natively it has one more parameter, which is added to ``dense_1.bias``.
    """

    def __init__(self, job: Job):
        super().__init__(job, Device(kind="cpu", id="cpu", name="none"))
        self.held = {name: np.full(item.shape, 7.0) for name, item in self._parameters.items()}
        if job.native:
            self.held[ADDED] = np.full(self.held["dense_1.bias"].shape, 7.0)
        self.log: list[object] = []

    def _names(self) -> Collection[str]:
        return self.held

    def _read(self, name: str) -> Array:
        return self.held[name].copy()

    def _write(self, name: str, array: Array) -> None:
        self.held[name] = array

    def _partner(self, name: str) -> str | None:
        return "dense_1.bias" if name == ADDED else None

    def _restart(self) -> None:
        self.log.append("restart")

    def _predict(self, chunks: list[Array]) -> Array:
        self.log.append([len(chunk) for chunk in chunks])
        return np.concatenate([chunk[:, :3] for chunk in chunks])

    def _outputs(self, x: Array, training: bool) -> dict[str, Array]:
        names = [node.name for node in self.model.walk()]
        return dict.fromkeys(reversed(names), x)

    def _loss_and_gradients(self, rows: Array, step: int) -> tuple[float, Params]:
        return 0.0, {}

    def _begin(self, plan: BatchPlan) -> None:
        self.log.append("begin")

    def _begin_epoch(self, plan: BatchPlan, epoch: int) -> None:
        self.log.append(f"epoch {epoch}")

    def _run(self, plan: BatchPlan, piece: Piece) -> float:
        self.log.append((piece.begin, piece.end))
        return float(piece.begin)

    def synchronize(self) -> None:
        self.log.append("synchronize")

    def peak_bytes(self) -> int | None:
        return None

    def settings(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        self.log.append("close")


def session(convention: str = "aligned") -> Recording:
    experiment = Experiment.model_validate(
        {
            "data": {"name": "random", "shape": (4,), "outputs": 3, "examples": 100},
            "model": {"family": "mlp", "hidden": (5,)},
            "train": {"convention": convention, "dtype": "float64"},
        }
    )
    signature = Signature(input=TensorSpec((4,)), outputs=3)
    return Recording(Job(runtime="torch", experiment=experiment, signature=signature))


def ones(of: Recording) -> Params:
    return {name: np.ones(item.shape) for name, item in of.model.parameters.items()}


@pytest.mark.parametrize("convention", ["aligned", "native"])
def test_load_changes_nothing_unless_everything_fits(convention: str) -> None:
    found = session(convention)
    before = found.params()
    whole = ones(found)
    last = list(whole)[-1]
    turned = {**whole, last: np.ones((9, 9))}
    with pytest.raises(ValueError, match=rf"{last}: shape \(9, 9\), the model has"):
        found.load(turned)
    with pytest.raises(KeyError, match="dense_9"):
        found.load({**whole, "dense_9.kernel": np.ones(1)})
    assert all(np.array_equal(found.params()[name], before[name]) for name in before)
    assert found.log == [], "not even the optimizer's state"
    found.load(whole)
    assert all(np.array_equal(found.params()[name], whole[name]) for name in whole)
    assert found.log == ["restart"]


def test_aligned_weights_must_be_all_and_native_ones_may_be_some() -> None:
    found = session()
    most = {name: array for name, array in ones(found).items() if name != "dense_1.bias"}
    with pytest.raises(KeyError, match=r"dense_1\.bias"):
        found.load(most)
    native = session("native")
    native.load({"dense_1.kernel": np.ones((4, 5))})
    assert (native.params()["dense_1.kernel"] == 1).all()
    assert (native.params()["dense_1.bias"] == 7).all(), "the framework's own draw"
    assert (native.params()[ADDED] == 7).all()


def test_what_a_framework_adds_becomes_zero_beside_a_canonical_partner() -> None:
    native = session("native")
    native.load({"dense_1.bias": np.ones(5)})
    assert not native.params()[ADDED].any()


def test_predictions_come_in_chunks() -> None:
    found = session()
    x = np.ones((2 * EVALUATION_BATCH + 5, 4))
    assert found.predict(x).shape == (len(x), 3)
    assert found.log == [[EVALUATION_BATCH, EVALUATION_BATCH, 5]]
    assert found.predict(x[:0]).shape == (0, 3)


def test_outputs_stand_in_the_order_of_the_model() -> None:
    found = session()
    assert list(found.outputs(np.ones((2, 4)))) == [node.name for node in found.model.walk()]


def test_an_epochs_order_is_staged_when_it_begins_and_each_piece_ends_idle() -> None:
    found = session()
    plan = BatchPlan(examples=6, batch_size=2, epochs=2, seed=0, learning_rate=np.ones(6))
    gate = FixedGate(pieces_of(plan, 2))
    found.train(plan, gate)
    assert found.log == [
        "begin",
        "epoch 0",
        (0, 2),
        "synchronize",
        (2, 3),
        "synchronize",
        "epoch 1",
        (3, 5),
        "synchronize",
        (5, 6),
        "synchronize",
    ]
    assert gate.losses == [0.0, 2.0, 3.0, 5.0]
