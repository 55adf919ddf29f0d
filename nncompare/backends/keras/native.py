"""Keras as it ships: the defaults and the meanings of ``train.convention: native``. The native
forms themselves stand beside the aligned ones, in ``layers/`` and ``optimizers.py``.

Every class of ``keras.layers`` and ``keras.optimizers`` gets its own defaults for what the file
leaves open, draws its own initial weights, and keeps its own formula. Keras has no position layer:
there the usual choice stands (as ``keras.layers.Embedding`` starts). ``same`` padding is Keras's
own in both conventions.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import keras

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


def _defaults(function: Callable[..., Any], **keywords: str) -> dict[str, Any]:
    """Field -> the default of the keyword that it is called in ``function``."""
    known = signature(function).parameters
    return {field: known[keyword].default for field, keyword in keywords.items()}


_ADAM = {"lr": "learning_rate", "beta1": "beta_1", "beta2": "beta_2", "epsilon": "epsilon"}
_NORM = keras.layers.BatchNormalization
_FIELDS: dict[str, dict[str, Any]] = {
    "batch_norm": {
        "epsilon": _defaults(_NORM, epsilon="epsilon")["epsilon"],
        # Keras's is the weight of the old statistics
        "momentum": 1 - _defaults(_NORM, momentum="momentum")["momentum"],
    },
    "layer_norm": _defaults(keras.layers.LayerNormalization, epsilon="epsilon"),
    "leaky_relu": _defaults(keras.layers.LeakyReLU, slope="negative_slope"),
    "gelu": _defaults(keras.activations.gelu, approximate="approximate"),
    "sgd": _defaults(
        keras.optimizers.SGD, lr="learning_rate", momentum="momentum", nesterov="nesterov"
    ),
    "adam": _defaults(keras.optimizers.Adam, **_ADAM),
    "adamw": _defaults(keras.optimizers.AdamW, **_ADAM, weight_decay="weight_decay"),
    "rmsprop": _defaults(
        keras.optimizers.RMSprop,
        lr="learning_rate",
        rho="rho",
        momentum="momentum",
        epsilon="epsilon",
    ),
}
DEFAULTS = {
    f"{kind}.{name}": value for kind, fields in _FIELDS.items() for name, value in fields.items()
}
"""See ``backends.native.Defaults``; read from Keras's signatures."""

_STARTS = {
    "kernel": "xavier_uniform",
    "bias": "zeros",
    "scale": "ones",
    "embedding": "uniform, ±0.05",
    "recurrent": "orthogonal, all gates as one matrix",
    "rnn.recurrent_kernel": "orthogonal",
    "lstm.kernel": "xavier_uniform, all gates as one matrix",
    "gru.kernel": "xavier_uniform, all gates as one matrix",
    "lstm.bias": "zeros, forget gate 1",
}
"""See ``Semantics.starts``."""
_ROUNDED = frozenset(
    {
        "leaky_relu.slope",
        "gelu.constants",
        "attention.scale",
        "sgd.momentum",
        "adamw.weight_decay",
        "penalty.l1",
        "penalty.l2",
    }
)
"""Numbers that ``ops.cast``, ``tf.nn`` or a regularizer makes a float32 tensor of, whatever the
dtype. All others are handed to operations that know their dtype.
"""


def semantics(job: Job) -> Semantics:
    """What Keras's layers and optimizers mean, where frameworks differ."""
    optimizer = job.experiment.train.optimizer.name
    # clipping makes the gradient of a table dense, which only then is summed before it is squared
    dense = job.experiment.train.clip_norm is not None
    narrow = job.dtype == "float32"
    return Semantics(
        epsilon=Epsilon.UNDER_ROOT if optimizer == "rmsprop" else Epsilon.BEFORE_CORRECTION,
        momentum_rate=MomentumRate.OLD,
        bias_correction=BiasCorrection.FLOAT32 if narrow else BiasCorrection.ROUNDED,
        mean_square_start=MeanSquareStart.ZERO,
        clipping=Clipping.GLOBAL_BY_TOKEN,
        l2=L2.IN_LOSS,
        table_gradient=TableGradient.SUMMED if dense else TableGradient.SQUARED_FIRST,
        running_variance=RunningVariance.BIASED,
        pooled_padding=PooledPadding.NOT_COUNTED,
        recurrent_biases=RecurrentBiases.ONE,
        final_activation=FinalActivation.TAKEN_BACK,
        rounded=_ROUNDED,
        starts=_STARTS,
    )
