"""PyTorch as it ships: what ``train.convention: native`` changes in this backend. The rest is as
aligned.

Every class of ``torch.nn`` and ``torch.optim`` gets its own defaults for what the file leaves open,
draws its own initial weights, and keeps its own formula. PyTorch has no position layer: there the
usual choice stands (an ``nn.Embedding``, so normal with deviation 1). ``same`` padding keeps the
file's meaning, which PyTorch lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from nncompare.backends.torch import layers
from nncompare.backends.torch.attention import kernel_of, row_of
from nncompare.backends.torch.convolution import after_padding, padding_of
from nncompare.backends.torch.lowering import Build, Builder, same, transpose
from nncompare.backends.torch.recurrent import Recurrent
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
from nncompare.spec.model import Node
from nncompare.spec.training import Penalty


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


def _recurrent(kind: type[nn.RNNBase]) -> Builder:
    """``nn.RNN`` or ``nn.LSTM`` with both of its biases trained; only their sum is used."""

    def build_layer(node: Node, build: Build) -> nn.Module:
        cell = kind(node.input.shape[-1], node.layer.units, batch_first=True, **build.factory)
        build.store(
            node,
            kernel=(cell.weight_ih_l0, transpose),
            recurrent_kernel=(cell.weight_hh_l0, transpose),
            bias=(cell.bias_ih_l0, same),
        )
        build.store_added(node, "recurrent_bias", cell.bias_hh_l0, partner="bias")
        return Recurrent(cell, node.layer.return_sequences)

    return build_layer


class SelfAttention(nn.Module):
    """``nn.MultiheadAttention`` of a sequence with itself. ``(N, T, E) -> (N, T, E)``."""

    def __init__(self, node: Node, build: Build):
        super().__init__()
        steps, features = node.input.shape
        self.attention = nn.MultiheadAttention(
            features, node.layer.heads, batch_first=True, **build.factory
        )
        mask = (
            nn.Transformer.generate_square_subsequent_mask(steps, **build.factory)
            if node.layer.causal
            else None
        )
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x_NTE: Tensor) -> Tensor:
        causal = self.mask is not None
        y_NTE, _ = self.attention(
            x_NTE, x_NTE, x_NTE, need_weights=False, attn_mask=self.mask, is_causal=causal
        )
        return y_NTE


def attention(node: Node, build: Build) -> nn.Module:
    features, heads = node.input.shape[-1], node.layer.heads
    module = SelfAttention(node, build)
    inner = module.attention
    places = {}
    for index, name in enumerate(("query", "key", "value")):
        places[f"{name}_kernel"] = (
            inner.in_proj_weight,
            kernel_of(index * features, features, heads),
        )
        places[f"{name}_bias"] = (inner.in_proj_bias, row_of(index * features, features, heads))
    places["output_kernel"] = (
        inner.out_proj.weight,
        lambda weight: weight.t().unflatten(0, (heads, -1)),
    )
    places["output_bias"] = (inner.out_proj.bias, same)
    build.store(node, **places)
    return module


def avg_pool2d(node: Node, _build: Build) -> nn.Module:
    """``nn.AvgPool2d``, whose mean counts the padding."""
    symmetric, extra = padding_of(node)
    pool = nn.AvgPool2d(node.layer.pool, stride=node.layer.strides(), padding=symmetric)
    return after_padding(extra and nn.ZeroPad2d(extra), pool)


def position(node: Node, build: Build) -> nn.Module:
    module = layers.position(node, build)
    nn.init.normal_(module.table)
    return module


LOWERINGS: dict[str, Builder] = {
    "rnn": _recurrent(nn.RNN),
    "lstm": _recurrent(nn.LSTM),
    "attention": attention,
    "avg_pool2d": avg_pool2d,
    "position": position,
}
"""Layer type -> its native lowering, where the aligned one is not PyTorch's own layer as it comes.
"""


def optimizer(spec: Any, penalty: Penalty, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    """``torch.optim`` as it comes, in the implementation that PyTorch picks.

    L2 is ``weight_decay``: ``l2 w`` is added to the gradient of every parameter. AdamW's
        ``weight_decay`` is its own.
    """
    decay = {"weight_decay": penalty.l2} if penalty.l2 else {}
    match spec.name:
        case "sgd":
            nesterov = spec.nesterov and spec.momentum > 0
            return torch.optim.SGD(
                parameters, lr=spec.lr, momentum=spec.momentum, nesterov=nesterov, **decay
            )
        case "adam":
            betas = (spec.beta1, spec.beta2)
            return torch.optim.Adam(parameters, lr=spec.lr, betas=betas, eps=spec.epsilon, **decay)
        case "adamw":
            betas = (spec.beta1, spec.beta2)
            own = {"eps": spec.epsilon, "weight_decay": spec.weight_decay}
            return torch.optim.AdamW(parameters, lr=spec.lr, betas=betas, **own)
        case "rmsprop":
            own = {"alpha": spec.rho, "eps": spec.epsilon, "momentum": spec.momentum}
            return torch.optim.RMSprop(parameters, lr=spec.lr, **own, **decay)
        case _:
            raise NotImplementedError(f"PyTorch's native optimizers lack {spec.name!r}")


def penalty_in_loss(spec: Any, penalty: Penalty) -> Penalty:
    """The part of the penalty that stays a term of the loss: L1, and L2 under AdamW."""
    return penalty if spec.name == "adamw" else penalty.model_copy(update={"l2": 0.0})


def clip_(weights: Sequence[Tensor], limit: float) -> None:
    """Divides by the global norm plus 1e-6 where it exceeds ``limit``, as
    ``clip_grad_norm_`` does.
    """
    nn.utils.clip_grad_norm_(weights, limit)
