"""Backends with one planted error each: the suite must catch every one, in the quantity where it
shows.

The errors are those that real ports make: another default, another layout, another place for an
    epsilon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.data.base import Data
from nncompare.numerics import updates
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.layout import reorder_gates
from nncompare.numerics.reference import FORWARD, Forward, Run
from nncompare.spec.job import Job
from nncompare.spec.model import Node
from nncompare.testing.numpy_backend import NumpySession


@dataclass(frozen=True, kw_only=True)
class Error:
    """One planted error.

    Args:
        name: what is wrong.
        case: the case that must catch it.
        quantity: the check that must fail.
        session: the session that is wrong.
    """

    name: str
    case: str
    quantity: str
    session: type[NumpySession]


ERRORS: list[Error] = []


def plant(
    name: str, case: str, quantity: str
) -> Callable[[type[NumpySession]], type[NumpySession]]:
    def keep(session: type[NumpySession]) -> type[NumpySession]:
        ERRORS.append(Error(name=name, case=case, quantity=quantity, session=session))
        return session

    return keep


def plant_formula(name: str, case: str, kind: str, formula: Forward) -> None:
    class Wrong(NumpySession):
        def formulas(self) -> Mapping[str, Forward]:
            return {**FORWARD, kind: formula}

    plant(name, case, "outputs")(Wrong)


def with_fields(kind: str, **fields: Any) -> Forward:
    """The right formula for a layer with other fields."""

    def formula(node: Node, p: Params, x: Array, run: Run) -> Array:
        layer = node.layer.model_copy(update=fields)
        return FORWARD[kind](
            Node(name=node.name, layer=layer, input=node.input, output=node.output), p, x, run
        )

    return formula


def with_params(kind: str, change: Callable[[Params], Params]) -> Forward:
    """The right formula with other parameters."""
    return lambda node, p, x, run: FORWARD[kind](node, {**p, **change(p)}, x, run)


def scaled_attention(node: Node, p: Params, x: Array, run: Run) -> Array:
    factor = np.sqrt(p["query_bias"].shape[-1])
    return FORWARD["attention"](
        node,
        {**p, "query_kernel": p["query_kernel"] * factor, "query_bias": p["query_bias"] * factor},
        x,
        run,
    )


def counted_padding(node: Node, p: Params, x: Array, run: Run) -> Array:
    """An average pool that divides by the whole window."""
    height, width = node.layer.window()  # type: ignore[attr-defined]
    real = FORWARD["avg_pool2d"](node, p, x, run)
    ones = np.zeros((1, *node.input.shape)) + 1.0
    (top, bottom), (left, right) = node.layer.pads(node.input)  # type: ignore[attr-defined]
    down, across = node.layer.strides()  # type: ignore[attr-defined]
    padded = np.pad(ones, ((0, 0), (top, bottom), (left, right), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))[
        :, ::down, ::across
    ]
    return np.asarray(real * view.sum(axis=(4, 5)) / (height * width))


def zero_padding(node: Node, p: Params, x: Array, run: Run) -> Array:
    """A max pool in which a padded zero can win."""
    (top, bottom), (left, right) = node.layer.pads(node.input)  # type: ignore[attr-defined]
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    down, across = node.layer.strides()  # type: ignore[attr-defined]
    view = np.lib.stride_tricks.sliding_window_view(padded, node.layer.window(), axis=(1, 2))  # type: ignore[attr-defined]
    return np.asarray(view[:, ::down, ::across].max(axis=(4, 5)))


def padding_before(node: Node, p: Params, x: Array, run: Run) -> Array:
    """A convolution whose odd zero goes before: that of the image turned around, twice."""
    kernel = p["kernel"][::-1, ::-1]
    return FORWARD["conv2d"](node, {**p, "kernel": kernel}, x[:, ::-1, ::-1], run)[:, ::-1, ::-1]


def early_reset(node: Node, p: Params, x: Array, run: Run) -> Array:
    """A GRU with the reset gate before the product, as first published."""
    units = node.output.shape[-1]
    h, states = np.zeros((len(x), units)), []
    for step in range(x.shape[1]):
        gates_x = x[:, step] @ p["kernel"] + p["bias"] + p["recurrent_bias"]
        gates_h = h @ p["recurrent_kernel"][:, : 2 * units]
        r, z = np.split(1 / (1 + np.exp(-(gates_x[:, : 2 * units] + gates_h))), 2, axis=-1)
        n = np.tanh(gates_x[:, 2 * units :] + (r * h) @ p["recurrent_kernel"][:, 2 * units :])
        h = (1 - z) * n + z * h
        states.append(h)
    return np.stack(states, axis=1) if len(node.output.shape) == 2 else h


plant_formula(
    "epsilon of layer norm",
    "layer/layer_norm",
    "layer_norm",
    with_fields("layer_norm", epsilon=1e-3),
)
plant_formula(
    "epsilon of batch norm",
    "layer/batch_norm",
    "batch_norm",
    with_fields("batch_norm", epsilon=1e-3),
)
plant_formula(
    "slope of leaky relu", "layer/activations", "leaky_relu", with_fields("leaky_relu", slope=0.2)
)
plant_formula(
    "tanh form of gelu", "layer/activations", "gelu", with_fields("gelu", approximate=True)
)
plant_formula(
    "no causal mask", "layer/attention_causal", "attention", with_fields("attention", causal=False)
)
plant_formula("no attention scale", "layer/attention", "attention", scaled_attention)
plant_formula(
    "padding counted by average pool", "layer/avg_pool2d_same", "avg_pool2d", counted_padding
)
plant_formula("padding wins max pool", "layer/max_pool2d_same", "max_pool2d", zero_padding)
plant_formula("odd padding before", "layer/conv2d_same_stride_2", "conv2d", padding_before)
plant_formula("reset gate before the product", "layer/gru", "gru", early_reset)
plant_formula(
    "recurrent kernel transposed",
    "layer/rnn",
    "rnn",
    with_params("rnn", lambda p: {"recurrent_kernel": p["recurrent_kernel"].T}),
)
plant_formula(
    "gate order of the LSTM",
    "layer/lstm",
    "lstm",
    with_params(
        "lstm", lambda p: {name: reorder_gates(array, "ifgo", "iofg") for name, array in p.items()}
    ),
)
plant_formula(
    "channels first in flatten",
    "layer/flatten",
    "flatten",
    lambda node, p, x, run: np.moveaxis(x, -1, 1).reshape(len(x), -1),
)
plant_formula(
    "softmax over the wrong axis",
    "layer/softmax_over_channels",
    "softmax",
    lambda node, p, x, run: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
)
plant_formula(
    "float32 inside",
    "layer/dense",
    "dense",
    lambda node, p, x, run: FORWARD["dense"](node, p, x.astype(np.float32).astype(np.float64), run),
)
plant_formula(
    "shortcut forgotten",
    "layer/residual",
    "residual",
    lambda node, p, x, run: run.chain(node.children, x),
)


@plant("sum instead of mean", "task/regression", "loss")
class _Sum(NumpySession):
    def data_loss(self, outputs: Array, targets: Array) -> float:
        return super().data_loss(outputs, targets) * targets.size


@plant("steps not averaged", "task/per_step", "loss")
class _Steps(NumpySession):
    def data_loss(self, outputs: Array, targets: Array) -> float:
        return super().data_loss(outputs, targets) * targets.shape[1]


@plant("L2 halved", "penalty/l2", "loss")
class _Half(NumpySession):
    def penalty(self, params: Params) -> float:
        return super().penalty(params) / 2


@plant("penalty on biases", "penalty/l1", "loss")
class _Biases(NumpySession):
    def penalty(self, params: Params) -> float:
        biases = sum(float(np.abs(params[name]).sum()) for name in params if name.endswith("bias"))
        return super().penalty(params) + self.job.experiment.train.penalty.l1 * biases


@plant("penalty missing from the gradient", "penalty/l2", "gradients")
class _Unpenalized(NumpySession):
    def slope(self, rows: Array, step: int) -> Params:
        wrong = super().slope(rows, step)
        l2 = self.job.experiment.train.penalty.l2
        penalized = {
            name for name, parameter in self.model.parameters.items() if parameter.penalized
        }
        return {
            name: g - 2 * l2 * self.weights[name] if name in penalized else g
            for name, g in wrong.items()
        }


@plant("one gradient off by a millionth", "layer/lstm", "gradients")
class _Million(NumpySession):
    def slope(self, rows: Array, step: int) -> Params:
        return {
            name: g * (1 + 1e-6 * (name == "lstm_1.bias"))
            for name, g in super().slope(rows, step).items()
        }


@plant("one gradient missing", "layer/position", "gradients")
class _Frozen(NumpySession):
    def slope(self, rows: Array, step: int) -> Params:
        return {
            name: g * (name != "position_1.table") for name, g in super().slope(rows, step).items()
        }


@plant("gradient clipped before it is shown", "clip/active", "gradients")
class _Clipped(NumpySession):
    def slope(self, rows: Array, step: int) -> Params:
        return updates.clip(super().slope(rows, step), self.job.experiment.train.clip_norm)


@plant("biased running variance", "layer/batch_norm", "running")
class _Biased(NumpySession):
    def blend(self, old: Array, batch: Array, momentum: float, kind: str, examples: int) -> Array:
        factor = (examples - 1) / examples if kind == "running_variance" else 1.0
        return super().blend(old, batch * factor, momentum, kind, examples)


@plant("momentum of batch norm turned around", "layer/batch_norm", "running")
class _Turned(NumpySession):
    def blend(self, old: Array, batch: Array, momentum: float, kind: str, examples: int) -> Array:
        return super().blend(old, batch, 1 - momentum, kind, examples)


@plant("looking updates running statistics", "layer/batch_norm", "untouched")
class _Touched(NumpySession):
    def loss_and_gradients(self, rows: Array) -> tuple[float, Params]:
        found = super().loss_and_gradients(rows)
        self.weights.update(self.running(rows, 0))
        return found


@plant("predict with batch statistics", "layer/batch_norm", "predict")
class _BatchPredict(NumpySession):
    def predict(self, x: Array) -> Array:
        return self.pass_through(self.weights, x, training=True).outputs[self.last]


@plant("predict at stale weights", "optimizer/sgd", "predict")
class _Stale(NumpySession):
    def load(self, params: Params) -> None:
        super().load(params)
        self.old = self.params()

    def predict(self, x: Array) -> Array:
        return self.pass_through(self.old, x).outputs[self.last]


@plant("predict loses the last chunk", "train/batch_norm", "predict")
class _Chunk(NumpySession):
    def predict(self, x: Array) -> Array:
        return super().predict(x[: max(len(x) // 1024 * 1024, 1)])


@plant("load rounds to float32", "layer/dense", "round_trip")
class _Rounded(NumpySession):
    def load(self, params: Params) -> None:
        super().load(
            {name: array.astype(np.float32).astype(np.float64) for name, array in params.items()}
        )


@plant("same mask at every step", "train/dropout", "training_loss")
class _SameMask(NumpySession):
    def mask(self, node: str, step: int, shape: tuple[int, ...]) -> Array:
        return super().mask(node, 0, shape)


@plant("dropout keeps what it should drop", "layer/dropout", "training_outputs")
class _Inverted(NumpySession):
    def mask(self, node: str, step: int, shape: tuple[int, ...]) -> Array:
        return ~super().mask(node, step, shape)


@plant("every epoch in the order of the first", "optimizer/sgd", "training_loss")
class _SameOrder(NumpySession):
    def rows(self, plan: BatchPlan, step: int) -> Array:
        return super().rows(plan, step % plan.steps_per_epoch)


@plant("partial batch filled up", "optimizer/sgd", "training_loss")
class _Filled(NumpySession):
    def rows(self, plan: BatchPlan, step: int) -> Array:
        return np.resize(super().rows(plan, step), plan.batch_size)


@plant("loss of a piece not weighted by examples", "optimizer/sgd", "pieces")
class _Unweighted(NumpySession):
    def piece_loss(self, plan: BatchPlan, begin: int, end: int, found: Array) -> float:
        return float(found.mean())


@plant("loss of a piece is its last step's", "optimizer/sgd", "pieces")
class _LastLoss(NumpySession):
    def piece_loss(self, plan: BatchPlan, begin: int, end: int, found: Array) -> float:
        return float(found[-1])


@plant("load keeps the optimizer's state", "optimizer/sgd_momentum", "pieces")
class _Kept(NumpySession):
    def load(self, params: Params) -> None:
        state = self.state
        super().load(params)
        self.state = state


@plant("learning rate off by a millionth", "optimizer/sgd", "update")
class _Rate(NumpySession):
    def update(self, gradients: Params, rate: float) -> Params:
        return super().update(gradients, rate * (1 + 1e-6))


@plant("rate stored in the velocity", "optimizer/sgd_momentum", "update")
class _Velocity(NumpySession):
    def update(self, gradients: Params, rate: float) -> Params:
        return super().update({name: g * rate for name, g in gradients.items()}, 1.0)


class _Changed(NumpySession):
    """Another optimizer than asked for."""

    fields: Mapping[str, Any] = {}

    def update(self, gradients: Params, rate: float) -> Params:
        train = self.job.experiment.train
        other = train.optimizer.model_copy(update=self.fields)
        updated, self.state = updates.step(
            other, self.state, self.weights, gradients, float(rate), train.clip_norm
        )
        return updated


for _name, _case, _fields in (
    ("momentum in float32", "sgd_momentum", {"momentum": float(np.float32(0.8))}),
    ("Nesterov forgotten", "sgd_nesterov", {"nesterov": False}),
    ("beta2 off by 1e-7", "adam", {"beta2": 0.9 + 1e-7}),
    ("epsilon of Adam", "adam_defaults", {"epsilon": 1e-7}),
    ("default decay of AdamW", "adamw", {"weight_decay": 0.01}),
    ("rho of RMSprop", "rmsprop", {"rho": 0.9}),
    ("momentum of RMSprop forgotten", "rmsprop_momentum", {"momentum": 0.0}),
):
    plant(_name, f"optimizer/{_case}", "update")(type("_Wrong", (_Changed,), {"fields": _fields}))


@plant("epsilon of Adam before bias correction", "optimizer/adam", "update")
class _EarlyEpsilon(NumpySession):
    def update(self, gradients: Params, rate: float) -> Params:
        optimizer: Any = self.job.experiment.train.optimizer
        factor = np.sqrt(1 - optimizer.beta2 ** (self.state.steps + 1))
        other = optimizer.model_copy(update={"epsilon": optimizer.epsilon / factor})
        updated, self.state = updates.step(other, self.state, self.weights, gradients, float(rate))
        return updated


@plant("epsilon of RMSprop under the root", "optimizer/rmsprop", "update")
class _UnderRoot(NumpySession):
    def update(self, gradients: Params, rate: float) -> Params:
        optimizer: Any = self.job.experiment.train.optimizer
        before = self.weights
        updated = super().update(gradients, rate)
        for name, g in gradients.items():
            updated[name] = before[name] - rate * g / np.sqrt(
                self.state.second[name] + optimizer.epsilon
            )
        return updated


@plant("decay of AdamW coupled to the gradient", "optimizer/adamw", "update")
class _Coupled(NumpySession):
    def update(self, gradients: Params, rate: float) -> Params:
        optimizer: Any = self.job.experiment.train.optimizer
        decayed = {
            name: g + optimizer.weight_decay * self.weights[name] for name, g in gradients.items()
        }
        other = optimizer.model_copy(update={"weight_decay": 0.0})
        updated, self.state = updates.step(other, self.state, self.weights, decayed, float(rate))
        return updated


@plant("tokens that a batch lacks do not move", "tokens/adam", "update")
class _Lazy(NumpySession):
    def update(self, gradients: Params, rate: float) -> Params:
        before, name = self.weights["embedding_1.table"], "embedding_1.table"
        updated = super().update(gradients, rate)
        updated[name] = np.where(
            np.abs(gradients[name]).max(axis=1, keepdims=True) > 0, updated[name], before
        )
        return updated


@plant("clipping adds 1e-6 to the norm", "clip/active", "update")
class _ClipEpsilon(NumpySession):
    def update(self, gradients: Params, rate: float) -> Params:
        limit = self.job.experiment.train.clip_norm or 0.0
        total = np.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
        factor = min(1.0, limit / (total + 1e-6))
        return super().update({name: g * factor for name, g in gradients.items()}, rate)


@plant("clipping by tensor", "clip/active", "update")
class _ClipTensor(NumpySession):
    def update(self, gradients: Params, rate: float) -> Params:
        limit = self.job.experiment.train.clip_norm
        each = {name: updates.clip({name: g}, limit)[name] for name, g in gradients.items()}
        train = self.job.experiment.train
        updated, self.state = updates.step(
            train.optimizer, self.state, self.weights, each, float(rate)
        )
        return updated


@plant("trains on after the gate has ended", "train/stop", "stop")
class _Runaway(NumpySession):
    def train(self, plan: BatchPlan, gate: Any) -> None:
        super().train(plan, gate)
        if len(gate.losses) == 1:
            self.train_step(plan, plan.steps_per_epoch)


@plant("the seed does not decide the initial weights", "native/start/image", "start")
class _Unseeded(NumpySession):
    def __init__(self, job: Job, data: Data):
        super().__init__(replace(job, seed=0), data)


@plant("an initializer of the file is not loaded", "native/start/image", "start")
class _OwnStart(NumpySession):
    def __init__(self, job: Job, data: Data):
        # a start of its own also for what the file names
        super().__init__(replace(job, seed=job.seed + 1), data)

    def load(self, params: Params) -> None:
        # natively a training starts with the few parameters that the file gives a start
        if len(params) == len(self.model.parameters):
            super().load(params)
