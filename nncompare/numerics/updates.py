"""Optimizer formulas in float64, as ``spec.training`` states them, and clipping by global norm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.spec.training import Adam, AdamW, AnyOptimizer, RmsProp, Sgd

Array = NDArray[Any]
Params = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class State:
    """What an optimizer remembers.

    Args:
        steps: steps taken.
        first: momentum buffer (SGD, RMSprop) or first moment (Adam); zeros at the start.
        second: mean square (RMSprop) or second moment (Adam); zeros at the start.
    """

    steps: int = 0
    first: Params = field(default_factory=dict)
    second: Params = field(default_factory=dict)


def clip(gradients: Params, norm: float | None) -> Params:
    """All gradients times ``norm / total`` if ``total``, the norm of them all together, is larger
    than ``norm`` (Pascanu et al. 2013, Algorithm 1; no epsilon). None: as they are.
    """
    if norm is None:
        return gradients
    total = float(
        np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients.values()))
    )
    return (
        {name: g * (norm / total) for name, g in gradients.items()} if total > norm else gradients
    )


def step(
    optimizer: AnyOptimizer,
    state: State,
    params: Params,
    gradients: Params,
    learning_rate: float,
    clip_norm: float | None = None,
) -> tuple[Params, State]:
    """One update.

    Args:
        optimizer: which rule; its ``lr`` is not read.
        state: ``State()`` at the first step.
        params: canonical parameters; those without a gradient (running statistics) come back
            unchanged.
        gradients: of the whole loss, penalties included, before clipping.
        learning_rate: of this step.
        clip_norm: largest global norm, or None.

    Returns:
        New parameters (float64 where updated) and the new state; the arguments stay as they are.
    """
    gradients = clip(gradients, clip_norm)
    updated, first, second = dict(params), dict(state.first), dict(state.second)
    for name, g in gradients.items():
        w, g = np.asarray(params[name], np.float64), np.asarray(g, np.float64)
        m, v = state.first.get(name, np.zeros_like(w)), state.second.get(name, np.zeros_like(w))
        updated[name], first[name], second[name] = _rule(
            optimizer, w, g, m, v, learning_rate, state.steps + 1
        )
    return updated, State(steps=state.steps + 1, first=first, second=second)


def _rule(
    optimizer: AnyOptimizer, w: Array, g: Array, m: Array, v: Array, rate: float, t: int
) -> tuple[Array, Array, Array]:
    match optimizer:
        case Sgd():
            return _sgd(optimizer, w, g, m, v, rate)
        case RmsProp():
            return _rmsprop(optimizer, w, g, m, v, rate)
        case AdamW():
            # decay first, decoupled from the gradient (Loshchilov and Hutter 2019, Algorithm 2,
            # with the current rate)
            return _adam(optimizer, w * (1 - rate * optimizer.weight_decay), g, m, v, rate, t)
        case Adam():
            return _adam(optimizer, w, g, m, v, rate, t)


def _sgd(o: Sgd, w: Array, g: Array, m: Array, v: Array, rate: float) -> tuple[Array, Array, Array]:
    """``m = mu m + g``; ``w -= rate m``, or with Nesterov ``w -= rate (g + mu m)`` (Sutskever et
    al. 2013).
    """
    m = o.momentum * m + g
    return w - rate * (g + o.momentum * m if o.nesterov else m), m, v


def _adam(
    o: Adam | AdamW, w: Array, g: Array, m: Array, v: Array, rate: float, t: int
) -> tuple[Array, Array, Array]:
    """Kingma and Ba 2015, Algorithm 1: ``w -= rate m_hat / (sqrt(v_hat) + epsilon)``, ``t``
    from 1.
    """
    m = o.beta1 * m + (1 - o.beta1) * g
    v = o.beta2 * v + (1 - o.beta2) * g**2
    m_hat, v_hat = m / (1 - o.beta1**t), v / (1 - o.beta2**t)
    return w - rate * m_hat / (np.sqrt(v_hat) + o.epsilon), m, v


def _rmsprop(
    o: RmsProp, w: Array, g: Array, m: Array, v: Array, rate: float
) -> tuple[Array, Array, Array]:
    """``v = rho v + (1 - rho) g^2``; ``m = mu m + g / (sqrt(v) + epsilon)``; ``w -= rate m``
    (Tieleman and Hinton 2012, lecture 6e; ``mu`` = 0 is the rule without momentum)."""
    v = o.rho * v + (1 - o.rho) * g**2
    m = o.momentum * m + g / (np.sqrt(v) + o.epsilon)
    return w - rate * m, m, v
