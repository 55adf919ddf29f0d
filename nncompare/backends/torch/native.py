"""PyTorch as it ships: the defaults and the meanings of ``train.convention: native``. The native
forms themselves stand beside the aligned ones, in ``layers/`` and ``optimizers.py``.

Every class of ``torch.nn`` and ``torch.optim`` gets its own defaults for what the file leaves open,
draws its own initial weights, and keeps its own formula. PyTorch has no position layer: there the
usual choice stands (an ``nn.Embedding``, so normal with deviation 1). ``same`` padding keeps the
file's meaning, which PyTorch lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import nn

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


def _default(function: Callable[..., Any], keyword: str) -> Any:
    return signature(function).parameters[keyword].default


def _of_optimizer(kind: type[torch.optim.Optimizer], **keywords: str) -> dict[str, Any]:
    """Field -> the default of the keyword that it is called in ``kind``."""
    return {field: _default(kind, keyword) for field, keyword in keywords.items()}


_BETAS = dict(zip(("beta1", "beta2"), _default(torch.optim.Adam, "betas"), strict=True))
_BETAS_W = dict(zip(("beta1", "beta2"), _default(torch.optim.AdamW, "betas"), strict=True))
_FIELDS: dict[str, dict[str, Any]] = {
    "batch_norm": {
        "epsilon": _default(nn.BatchNorm2d, "eps"),
        "momentum": _default(nn.BatchNorm2d, "momentum"),
    },
    "layer_norm": {"epsilon": _default(nn.LayerNorm, "eps")},
    "leaky_relu": {"slope": _default(nn.LeakyReLU, "negative_slope")},
    "gelu": {"approximate": _default(nn.GELU, "approximate") != "none"},
    "sgd": (
        _of_optimizer(torch.optim.SGD, lr="lr", nesterov="nesterov")
        | {"momentum": float(_default(torch.optim.SGD, "momentum"))}
    ),
    "adam": _of_optimizer(torch.optim.Adam, lr="lr", epsilon="eps") | _BETAS,
    "adamw": (
        _of_optimizer(torch.optim.AdamW, lr="lr", epsilon="eps", weight_decay="weight_decay")
        | _BETAS_W
    ),
    "rmsprop": (
        _of_optimizer(torch.optim.RMSprop, lr="lr", rho="alpha", epsilon="eps")
        | {"momentum": float(_default(torch.optim.RMSprop, "momentum"))}
    ),
}
DEFAULTS = {
    f"{kind}.{name}": value for kind, fields in _FIELDS.items() for name, value in fields.items()
}
"""See ``backends.native.Defaults``; read from PyTorch's signatures."""

_AS_LINEAR = "uniform, ±1/sqrt(fan_in)"
_AS_RECURRENT = "uniform, ±1/sqrt(units)"

_STARTS = {
    "dense.kernel": _AS_LINEAR,
    "dense.bias": _AS_LINEAR,
    "conv2d.kernel": _AS_LINEAR,
    "conv2d.bias": _AS_LINEAR,
    "embedding.table": "normal, deviation 1",
    "position.table": "normal, deviation 1",
    **{
        f"{kind}.{name}": _AS_RECURRENT
        for kind in ("rnn", "lstm", "gru")
        for name in ("kernel", "recurrent_kernel", "bias")
    },
    "gru.recurrent_bias": _AS_RECURRENT,
    **{
        f"attention.{name}_kernel": "xavier_uniform of all three"
        for name in ("query", "key", "value")
    },
    "attention.output_kernel": _AS_LINEAR,
    **{f"attention.{name}_bias": "zeros" for name in ("query", "key", "value", "output")},
    "scale": "ones",
    "bias": "zeros",
}
"""See ``Semantics.starts``."""
_ADDED = {f"{kind}.recurrent_bias": _AS_RECURRENT for kind in ("rnn", "lstm")}


def semantics(job: Job) -> Semantics:
    """What PyTorch's layers and optimizers mean, where frameworks differ."""
    optimizer = job.experiment.train.optimizer.name
    return Semantics(
        epsilon=Epsilon.AFTER_CORRECTION,
        momentum_rate=MomentumRate.CURRENT,
        bias_correction=BiasCorrection.FLOAT64,
        mean_square_start=MeanSquareStart.ZERO,
        clipping=Clipping.GLOBAL_PLUS,
        # AdamW's weight_decay is its own, so that L2 stays a term of the loss
        l2=L2.IN_LOSS if optimizer == "adamw" else L2.AS_DECAY,
        table_gradient=TableGradient.SUMMED,
        running_variance=RunningVariance.UNBIASED,
        pooled_padding=PooledPadding.COUNTED,
        recurrent_biases=RecurrentBiases.TWO,
        final_activation=FinalActivation.TRAINED_THROUGH,
        starts=_STARTS,
        added=_ADDED,
    )
