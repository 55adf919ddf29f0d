"""Raw TensorFlow as it ships, and as it is usually written: what ``train.convention: native``
changes here.

TensorFlow without Keras has operations and the optimizers of ``tf.compat.v1.train``, but no layers.
So native means

- the defaults of ``tf.nn`` and of ``tf.compat.v1.train``, read from their signatures;
- where those are silent, what TensorFlow code usually has: batch normalization from
  ``tf.nn.moments`` with 0.99 of the old statistics and the epsilon 0.001 of
  ``tf.compat.v1.nn.fused_batch_norm``, layer normalization with the 1e-6 of TensorFlow's
  Transformer tutorial, kernels from Glorot and Bengio's uniform distribution (the default of
  ``tf.compat.v1.get_variable``), biases at zero, the LSTM's forget gate at 1
  (``tf.compat.v1.nn.rnn_cell``);
- for a rate or decay that TensorFlow does not set (SGD, RMSprop, AdamW's decay), the value of the
aligned convention.

The recurrent cells and attention keep the formulas of ``spec.layers``, which TensorFlow code would
write out as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from math import sqrt
from typing import Any

import numpy as np
import tensorflow as tf

from nncompare.backends.base import Array
from nncompare.backends.tensorflow.lowering import Context, Lowered, Pass
from nncompare.numerics.keys import generator
from nncompare.numerics.semantics import (
    L2,
    BiasCorrection,
    Clipping,
    Epsilon,
    FinalActivation,
    MeanSquareStart,
    MomentumRate,
    PooledPadding,
    RecurrentBiases,
    RunningVariance,
    Semantics,
    TableGradient,
)
from nncompare.spec.job import Job
from nncompare.spec.layers import BatchNorm, Gelu, LayerNorm, LeakyRelu, Parameter
from nncompare.spec.model import Node
from nncompare.spec.training import AdamW, Penalty, RmsProp, Sgd

Tensor = tf.Tensor
_V1 = tf.compat.v1.train


def _defaults(function: Callable[..., Any], **keywords: str) -> dict[str, Any]:
    """Field -> the default of the keyword that it is called in ``function``."""
    known = signature(function).parameters
    return {field: known[keyword].default for field, keyword in keywords.items()}


def _ours(spec: type[Any], *names: str) -> dict[str, Any]:
    """What TensorFlow does not set: the aligned convention's values."""
    return {name: spec.model_fields[name].default for name in names}


_ADAM = _defaults(
    _V1.AdamOptimizer, lr="learning_rate", beta1="beta1", beta2="beta2", epsilon="epsilon"
)
_FIELDS: dict[str, dict[str, Any]] = {
    "batch_norm": {
        **_defaults(tf.compat.v1.nn.fused_batch_norm, epsilon="epsilon"),
        "momentum": 1 - 0.99,
    },
    "layer_norm": {"epsilon": 1e-6},
    "leaky_relu": _defaults(tf.nn.leaky_relu, slope="alpha"),
    "gelu": _defaults(tf.nn.gelu, approximate="approximate"),
    "sgd": _ours(Sgd, "lr", "momentum", "nesterov"),
    "adam": _ADAM,
    "adamw": {**_ADAM, **_ours(AdamW, "weight_decay")},
    "rmsprop": {
        **_ours(RmsProp, "lr"),
        **_defaults(_V1.RMSPropOptimizer, rho="decay", momentum="momentum", epsilon="epsilon"),
    },
}
DEFAULTS = {
    f"{kind}.{name}": value for kind, fields in _FIELDS.items() for name, value in fields.items()
}
"""See ``backends.native.Defaults``."""


_STARTS = {
    "kernel": "xavier_uniform",
    "recurrent": "xavier_uniform, all gates as one matrix",
    "embedding": "xavier_uniform",
    "rnn.recurrent_kernel": "xavier_uniform",
    "lstm.kernel": "xavier_uniform, all gates as one matrix",
    "gru.kernel": "xavier_uniform, all gates as one matrix",
    "bias": "zeros",
    "lstm.bias": "zeros, forget gate 1",
    "scale": "ones",
}
"""See ``Semantics.starts``."""
_ROUNDED = frozenset(
    {
        "leaky_relu.slope",
        "gelu.constants",
        "sgd.momentum",
        "adam.beta1",
        "adam.beta2",
        "adam.epsilon",
        "adamw.beta1",
        "adamw.beta2",
        "adamw.epsilon",
        "rmsprop.rho",
        "rmsprop.momentum",
        "rmsprop.epsilon",
    }
)
"""Numbers that ``tf.nn`` and ``tf.compat.v1.train`` make a float32 tensor of, whatever the dtype.
"""
_LAZY = ("sgd", "rmsprop")
"""Optimizers whose sparse kernels leave rows without a token alone. (Adam's decays all moments.)"""


def semantics(job: Job) -> Semantics:
    """What TensorFlow's operations and optimizers mean, where frameworks differ."""
    optimizer = job.experiment.train.optimizer.name
    rmsprop = optimizer == "rmsprop"
    # XLA has no kernels for sparse updates: there the gradient of a table is made dense
    sparse = job.mode != "xla"
    lazy = optimizer in _LAZY and sparse
    return Semantics(
        epsilon=Epsilon.UNDER_ROOT if rmsprop else Epsilon.BEFORE_CORRECTION,
        momentum_rate=MomentumRate.OLD if rmsprop else MomentumRate.CURRENT,
        bias_correction=BiasCorrection.FLOAT32,
        mean_square_start=MeanSquareStart.ONE,
        clipping=Clipping.GLOBAL_BY_TOKEN if sparse else Clipping.GLOBAL,
        l2=L2.HALVED,
        table_gradient=TableGradient.LAZY if lazy else TableGradient.SUMMED,
        running_variance=RunningVariance.BIASED,
        pooled_padding=PooledPadding.NOT_COUNTED,
        recurrent_biases=RecurrentBiases.ONE,
        final_activation=FinalActivation.TRAINED_THROUGH,
        rounded=_ROUNDED,
        starts=_STARTS,
    )


class BatchNormModule(Lowered):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization``; the running variance takes the biased
    batch variance.
    """

    layer: BatchNorm

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        mean, variance = self.weights["running_mean"], self.weights["running_variance"]
        if run.training:
            batch = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
            keep = self.constant(1 - self.layer.momentum)
            for running, new in zip((mean, variance), batch, strict=True):
                run.updates.append((running, running * keep + new * (1 - keep)))
            mean, variance = batch
        scale, bias = self.weights["scale"], self.weights["bias"]
        return tf.nn.batch_normalization(x, mean, variance, bias, scale, self.layer.epsilon)


class LayerNormModule(Lowered):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` over the last axis."""

    layer: LayerNorm

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        scale, bias = self.weights["scale"], self.weights["bias"]
        return tf.nn.batch_normalization(x, mean, variance, bias, scale, self.layer.epsilon)


class LeakyReluModule(Lowered):
    """``tf.nn.leaky_relu``."""

    layer: LeakyRelu

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return tf.nn.leaky_relu(x, self.layer.slope)


class GeluModule(Lowered):
    """``tf.nn.gelu``."""

    layer: Gelu

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        return tf.nn.gelu(x, self.layer.approximate)


LOWERINGS: dict[str, Callable[[Node, Context], Lowered]] = {
    "batch_norm": BatchNormModule,
    "layer_norm": LayerNormModule,
    "leaky_relu": LeakyReluModule,
    "gelu": GeluModule,
}
"""Layer type -> its native module, where the aligned one is not the usual TensorFlow code."""


def initialize(modules: Iterable[Lowered]) -> None:
    """Gives every weight its usual start, drawn by TensorFlow from a key of the seed and the
    weight's name.
    """
    for module in modules:
        for item in module.node.parameters:
            name = f"tensorflow start/{module.node.name}.{item.name}"
            key = generator(module.context.seed, name).integers(0, 2**31 - 1, size=2)
            module.weights[item.name].assign(_start(item, module, key))


def _start(item: Parameter, module: Lowered, key: Array) -> Tensor:
    dtype = module.context.dtype
    if item.role in ("kernel", "recurrent", "embedding"):
        limit = sqrt(6 / (item.fan_in + item.fan_out * item.gates))
        return tf.random.stateless_uniform(item.shape, key.tolist(), -limit, limit, dtype)
    if item.role == "scale" or item.name == "running_variance":
        return tf.ones(item.shape, dtype)
    start = np.zeros(item.shape)
    if module.layer.type == "lstm" and item.name == "bias":
        units = module.layer.units
        start[units : 2 * units] = 1.0  # gate order i, f, g, o
    return tf.constant(start, dtype)


class V1Optimizer(tf.Module):
    """An optimizer of ``tf.compat.v1.train`` as it comes, in the place of ``optimizers.Optimizer``.

    ``GradientDescentOptimizer``, ``MomentumOptimizer``, ``AdamOptimizer`` and ``RMSPropOptimizer``;
    AdamW, which TensorFlow lacks, is ``w -= rate decay w`` before Adam. Each step's rate is read
    from the plan.
    """

    def __init__(self, spec: Any, weights: Sequence[tf.Variable]):
        super().__init__()
        self.spec, self.weights = spec, list(weights)
        self._rate: Tensor = tf.constant(spec.lr, self.weights[0].dtype)
        self._rule = self._make(lambda: self._rate)
        # all state at once: a tf.function must not make variables later
        self._rule._create_slots(self.weights)
        self._state = [(variable, tf.identity(variable)) for variable in self._rule.variables()]

    def _make(self, rate: Callable[[], Tensor]) -> Any:
        spec = self.spec
        match spec.name:
            case "sgd" if spec.momentum:
                return _V1.MomentumOptimizer(rate, spec.momentum, use_nesterov=spec.nesterov)
            case "sgd":
                return _V1.GradientDescentOptimizer(rate)
            case "adam" | "adamw":
                return _V1.AdamOptimizer(rate, spec.beta1, spec.beta2, spec.epsilon)
            case "rmsprop":
                return _V1.RMSPropOptimizer(rate, spec.rho, spec.momentum, spec.epsilon)
            case _:
                raise NotImplementedError(f"TensorFlow's native optimizers lack {spec.name!r}")

    @property
    def implementation(self) -> str:
        return f"tf.compat.v1.train.{type(self._rule).__name__}"

    def reset(self) -> None:
        """The state as it was at first."""
        for variable, value in self._state:
            variable.assign(value)

    def table(self, rates: Array, taken: int) -> Array:
        """``(steps, 1)`` learning rates: the optimizer counts its steps itself."""
        return rates[:, None]

    def apply(self, gradients: Sequence[Any], row: Sequence[Tensor]) -> None:
        """One update; gradients may be ``tf.IndexedSlices``."""
        self._rate = row[0]
        if isinstance(self.spec, AdamW):
            for weight in self.weights:
                weight.assign_sub(
                    row[0] * tf.constant(self.spec.weight_decay, weight.dtype) * weight
                )
        self._rule.apply_gradients(list(zip(gradients, self.weights, strict=True)))


def clip(gradients: Sequence[Any], norm: float | None) -> list[Any]:
    """``tf.clip_by_global_norm``; None: as they are."""
    return list(gradients) if norm is None else tf.clip_by_global_norm(gradients, norm)[0]


def penalty(weights: Sequence[tf.Variable], spec: Penalty) -> Tensor | None:
    """``l1 sum|w| + l2 tf.nn.l2_loss(w)``, of which the latter is half the sum of squares; None
    where both are zero.
    """
    terms = [spec.l1 * tf.reduce_sum(tf.abs(weight)) for weight in weights if spec.l1]
    terms += [spec.l2 * tf.nn.l2_loss(weight) for weight in weights if spec.l2]
    return tf.add_n(terms) if terms else None
