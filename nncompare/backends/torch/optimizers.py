"""PyTorch's own optimizers, whose update rules are the canonical ones of ``spec.training``.

So one form serves both conventions. The aligned one takes the fastest implementation and keeps L2
in the loss; the native one takes what PyTorch picks by itself, with L2 as its ``weight_decay``.

None of them is given a learning rate: the session sets every step's from the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nncompare.backends.registry import Registry, default, defaults_of
from nncompare.spec.frozen import Frozen
from nncompare.spec.job import Job
from nncompare.spec.training import Adam, AdamW, RmsProp, Sgd

_Weights = Sequence[Tensor]
Builder = Callable[[Any, _Weights, dict[str, Any]], torch.optim.Optimizer]
"""Of the description, the trained parameters, and keywords that every optimizer takes."""

OPTIMIZERS: Registry[Frozen, Builder] = Registry("torch", {})


optimizer = OPTIMIZERS.form
"""Registers the builder of an optimizer, with PyTorch's own values for its fields."""


@optimizer(
    Sgd,
    **defaults_of(torch.optim.SGD, lr="lr", nesterov="nesterov"),
    # PyTorch writes the integer 0
    momentum=float(default(torch.optim.SGD, "momentum")),
)
def sgd(spec: Sgd, weights: _Weights, options: dict[str, Any]) -> torch.optim.Optimizer:
    """``torch.optim.SGD``."""
    # Without momentum Nesterov's formula is plain descent; PyTorch refuses the combination.
    nesterov = {"nesterov": True} if spec.nesterov and spec.momentum > 0 else {}
    return torch.optim.SGD(weights, **spec.given(momentum="momentum"), **nesterov, **options)


def _adam_defaults(kind: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """PyTorch's own values, whose two betas are one argument."""
    beta1, beta2 = default(kind, "betas")
    return {"beta1": beta1, "beta2": beta2, **defaults_of(kind, lr="lr", eps="epsilon")}


def _betas(spec: Adam | AdamW) -> dict[str, Any]:
    """The one argument for both betas, unless both are PyTorch's own."""
    given = spec.given(beta1="beta1", beta2="beta2")
    return {"betas": (spec.beta1, spec.beta2)} if given else {}


@optimizer(Adam, **_adam_defaults(torch.optim.Adam))
def adam(spec: Adam, weights: _Weights, options: dict[str, Any]) -> torch.optim.Optimizer:
    """``torch.optim.Adam``: epsilon is added after bias correction, as in Kingma and Ba's
    Algorithm 1.
    """
    return torch.optim.Adam(weights, **_betas(spec), **spec.given(eps="epsilon"), **options)


@optimizer(
    AdamW,
    **_adam_defaults(torch.optim.AdamW),
    weight_decay=default(torch.optim.AdamW, "weight_decay"),
)
def adamw(spec: AdamW, weights: _Weights, options: dict[str, Any]) -> torch.optim.Optimizer:
    """``torch.optim.AdamW``: decay ``w *= 1 - lr weight_decay`` on every parameter, before the
    step.
    """
    own = spec.given(eps="epsilon", weight_decay="weight_decay")
    return torch.optim.AdamW(weights, **_betas(spec), **own, **options)


@optimizer(
    RmsProp,
    **defaults_of(torch.optim.RMSprop, lr="lr", alpha="rho", eps="epsilon"),
    momentum=float(default(torch.optim.RMSprop, "momentum")),
)
def rmsprop(spec: RmsProp, weights: _Weights, options: dict[str, Any]) -> torch.optim.Optimizer:
    """``torch.optim.RMSprop``: epsilon is added outside the square root."""
    own = spec.given(alpha="rho", eps="epsilon", momentum="momentum")
    return torch.optim.RMSprop(weights, **own, **options)


def build(job: Job, weights: _Weights) -> torch.optim.Optimizer:
    """The optimizer of a job, with fresh state, for the trained parameters."""
    spec = job.experiment.train.optimizer
    builder = OPTIMIZERS.find(type(spec), native=job.native)
    return builder(spec, weights, _options(job, weights[0].device))


def _options(job: Job, device: torch.device) -> dict[str, Any]:
    if not job.native:
        kind = implementation(job, device)
        return {"fused": True} if kind == "fused" else {"foreach": kind == "foreach"}
    # ``weight_decay = l2`` adds ``l2 w`` to the gradient of every parameter
    return {"weight_decay": job.experiment.train.penalty.l2} if l2_is_weight_decay(job) else {}


def l2_is_weight_decay(job: Job) -> bool:
    """Whether the file's L2 becomes the optimizer's ``weight_decay``, as PyTorch code has it: in
    the native convention, but for an optimizer whose own decay goes by that name.
    """
    train = job.experiment.train
    decays_itself = "weight_decay" in type(train.optimizer).model_fields
    return job.native and not decays_itself and train.penalty.l2 > 0


_FUSED_ON = ("cpu", "cuda", "mps")


def implementation(job: Job, device: torch.device) -> str:
    """``fused`` (one kernel for all parameters), ``foreach`` (one an operation) or ``for-loop``."""
    if job.native:
        # what torch.optim picks by itself (torch.optim.optimizer._default_to_fused_or_foreach)
        return "foreach" if device.type in ("cuda", "xpu") else "for-loop"
    # PyTorch has no fused RMSprop
    fusible = not isinstance(job.experiment.train.optimizer, RmsProp)
    if fusible and device.type in _FUSED_ON:
        return "fused"
    # neither fused nor foreach kernels pay on XLA, which fuses by itself
    return "foreach" if device.type == "cuda" else "for-loop"


def clip(job: Job) -> Callable[[_Weights], object] | None:
    """Scales the gradients of weights in place by their global norm, or None if the file clips
    nothing. PyTorch's own adds 1e-6 to the norm, which the formula does not.
    """
    limit = job.experiment.train.clip_norm
    if limit is None:
        return None
    if job.native:
        return partial(nn.utils.clip_grad_norm_, max_norm=limit)

    def clip_exactly(weights: _Weights) -> None:
        # a weight that the loss does not reach has none
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        clip_by_global_norm(gradients, limit)

    return clip_exactly


def clip_by_global_norm(gradients: list[Tensor], limit: float) -> None:
    """Scales all gradients by ``min(1, limit / norm)`` in place, norm over all of them (Pascanu et
    al. 2013). No host synchronization.
    """
    # ``_foreach`` is what ``clip_grad_norm_`` calls as well: one kernel for all tensors
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (limit / norm).clamp(max=1.0))
