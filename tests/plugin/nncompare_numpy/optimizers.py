"""The update rules of ``nncompare.spec.training`` in NumPy, in the arithmetic of the weights."""

from __future__ import annotations

import numpy as np

from nncompare.spec.training import Adam, Sgd
from nncompare_numpy.layers import Array, Params

OPTIMIZERS = (Sgd, Adam)
"""``why_not`` refuses any other."""


class Momentum:
    """SGD with momentum, also Nesterov's; the current learning rate scales the whole buffer."""

    def __init__(self, rule: Sgd):
        self.rule = rule
        self.buffers: Params = {}

    def step(self, params: Params, gradients: Params, learning_rate: Array) -> None:
        """Moves ``params`` in place."""
        momentum = self.rule.momentum
        for name, gradient in gradients.items():
            buffer = momentum * self.buffers.get(name, 0.0) + gradient
            self.buffers[name] = buffer
            direction = gradient + momentum * buffer if self.rule.nesterov else buffer
            params[name] -= learning_rate * direction


class AdaptiveMoments:
    """Adam (Kingma and Ba 2015, Algorithm 1); epsilon is added after bias correction."""

    def __init__(self, rule: Adam):
        self.rule = rule
        self.steps = 0
        self.first: Params = {}
        self.second: Params = {}

    def step(self, params: Params, gradients: Params, learning_rate: Array) -> None:
        """Moves ``params`` in place."""
        rule = self.rule
        self.steps += 1
        for name, gradient in gradients.items():
            first = rule.beta1 * self.first.get(name, 0.0) + (1 - rule.beta1) * gradient
            second = rule.beta2 * self.second.get(name, 0.0) + (1 - rule.beta2) * gradient**2
            self.first[name] = first
            self.second[name] = second
            mean = first / (1 - rule.beta1**self.steps)
            square = second / (1 - rule.beta2**self.steps)
            params[name] -= learning_rate * mean / (np.sqrt(square) + rule.epsilon)


def make_optimizer(rule: object) -> Momentum | AdaptiveMoments:
    """A fresh optimizer, with no state."""
    match rule:
        case Sgd():
            return Momentum(rule)
        case Adam():
            return AdaptiveMoments(rule)
        case _:
            raise NotImplementedError(f"{rule!r} is refused by why_not")
