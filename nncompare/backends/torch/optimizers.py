"""PyTorch's own optimizers; their update rules are the canonical ones of ``spec.training``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_FUSED_ON = ("cpu", "cuda", "mps")


def implementation(name: str, device: torch.device) -> str:
    """``fused`` (one kernel for all parameters), ``foreach`` (one per operation) or ``for-loop``.

    PyTorch has no fused RMSprop, and neither fused nor foreach kernels pay on XLA, which fuses by
    itself.
    """
    if device.type in _FUSED_ON and name != "rmsprop":
        return "fused"
    return "foreach" if device.type == "cuda" else "for-loop"


def _how(name: str, parameters: Sequence[Tensor]) -> dict[str, bool]:
    kind = implementation(name, parameters[0].device)
    return {"fused": True} if kind == "fused" else {"foreach": kind == "foreach"}


def sgd(spec: Any, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    # Without momentum Nesterov's formula is plain descent; PyTorch refuses the combination.
    nesterov = spec.nesterov and spec.momentum > 0
    return torch.optim.SGD(
        parameters, lr=spec.lr, momentum=spec.momentum, nesterov=nesterov, **_how("sgd", parameters)
    )


def adam(spec: Any, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    """Epsilon is added after bias correction, as in Kingma and Ba's Algorithm 1."""
    betas = (spec.beta1, spec.beta2)
    return torch.optim.Adam(
        parameters, lr=spec.lr, betas=betas, eps=spec.epsilon, **_how("adam", parameters)
    )


def adamw(spec: Any, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    """Decay ``w *= 1 - lr weight_decay`` on every parameter, before the step."""
    return torch.optim.AdamW(
        parameters,
        lr=spec.lr,
        betas=(spec.beta1, spec.beta2),
        eps=spec.epsilon,
        weight_decay=spec.weight_decay,
        **_how("adamw", parameters),
    )


def rmsprop(spec: Any, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    """Epsilon is added outside the square root."""
    return torch.optim.RMSprop(
        parameters,
        lr=spec.lr,
        alpha=spec.rho,
        eps=spec.epsilon,
        momentum=spec.momentum,
        **_how("rmsprop", parameters),
    )


OPTIMIZERS: dict[str, Callable[[Any, Sequence[Tensor]], torch.optim.Optimizer]] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
}
"""Optimizer name -> builder of (its spec, the trained parameters)."""


def clip_(gradients: Sequence[Tensor], limit: float) -> None:
    """Scales all gradients by ``min(1, limit / norm)`` in place, norm over all of them (Pascanu et
    al. 2013).

    PyTorch's ``clip_grad_norm_`` adds 1e-6 to the norm, which the formula does not. No host
    synchronization.
    """
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (limit / norm).clamp(max=1.0))
