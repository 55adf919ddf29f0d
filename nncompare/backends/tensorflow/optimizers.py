"""Optimizers in TensorFlow operations, on the fused update kernels where those are exactly the
canonical formula.

Everything that depends on the step alone (learning rate, bias correction) is computed in NumPy
float64 for all steps of a plan at once; the training step reads its row of that table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nncompare.backends.base import Array
from nncompare.spec.training import Adam, AdamW, AnyOptimizer, RmsProp, Sgd

Tensor = tf.Tensor
Scalars = Sequence[Tensor]


class Optimizer(tf.Module):
    """Base: one slot variable per weight and kind.

    Args:
        spec: which rule and its constants; its ``lr`` is not read.
        weights: trained variables, all of one dtype.
    """

    slot_names: tuple[str, ...] = ()
    implementation = "one fused kernel per variable"

    def __init__(self, spec: Any, weights: Sequence[tf.Variable]):
        super().__init__()
        self.spec, self.weights = spec, list(weights)
        self.slots = {
            name: [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in self.weights]
            for name in self._used_slots()
        }

    def _used_slots(self) -> tuple[str, ...]:
        return self.slot_names

    def reset(self) -> None:
        """All slots := 0."""
        for slots in self.slots.values():
            for slot in slots:
                slot.assign(tf.zeros_like(slot))

    def table(self, rates: Array, taken: int) -> Array:
        """What each step needs: ``(steps, columns)`` float64.

        Args:
            rates: ``(steps,)`` learning rates.
            taken: steps taken before the first of them.
        """
        return rates[:, None]

    def apply(self, gradients: Sequence[Tensor], row: Scalars) -> None:
        """One update with dense gradients; ``row``: one row of ``table``, one scalar a column."""
        for index, (weight, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            slots = {name: found[index] for name, found in self.slots.items()}
            self.update(weight, gradient, slots, row)

    def update(
        self, weight: tf.Variable, gradient: Tensor, slots: dict[str, tf.Variable], row: Scalars
    ) -> None:
        """One weight's update."""
        raise NotImplementedError


class SgdRule(Optimizer):
    """``m = mu m + g``; ``w -= rate m``, or with Nesterov ``w -= rate (g + mu m)`` (Sutskever et
    al. 2013).

    ``ApplyGradientDescent`` and ``ApplyMomentum`` are these formulas.
    """

    spec: Sgd

    def _used_slots(self) -> tuple[str, ...]:
        return ("m",) if self.spec.momentum else ()

    def update(
        self, weight: tf.Variable, gradient: Tensor, slots: dict[str, tf.Variable], row: Scalars
    ) -> None:
        if not slots:
            tf.raw_ops.ResourceApplyGradientDescent(var=weight.handle, alpha=row[0], delta=gradient)
            return
        tf.raw_ops.ResourceApplyMomentum(
            var=weight.handle,
            accum=slots["m"].handle,
            lr=row[0],
            grad=gradient,
            momentum=tf.constant(self.spec.momentum, weight.dtype),
            use_nesterov=self.spec.nesterov,
        )


class AdamRule(Optimizer):
    """Kingma and Ba 2015, Algorithm 1, by ``ApplyAdam``.

    With ``c1 = 1 - beta1^t`` and ``c2 = 1 - beta2^t`` the rule is ``w -= rate (m / c1) / (sqrt(v /
    c2) + epsilon)``, which equals ``w -= alpha m / (sqrt(v) + epsilon_t)`` with ``alpha = rate
    sqrt(c2) / c1`` and ``epsilon_t = epsilon sqrt(c2)``. The kernel computes the latter; given
    powers of beta of zero it adds no correction of its own.
    """

    spec: Adam | AdamW
    slot_names = ("m", "v")

    def table(self, rates: Array, taken: int) -> Array:
        t = np.arange(taken + 1, taken + 1 + len(rates))
        beta1, beta2 = (self._as_stored(beta) for beta in (self.spec.beta1, self.spec.beta2))
        c1, root_c2 = 1 - beta1**t, np.sqrt(1 - beta2**t)
        return np.stack([rates, rates * root_c2 / c1, self.spec.epsilon * root_c2], axis=1)

    def _as_stored(self, beta: float) -> float:
        """The kernel's moments decay by beta rounded to the weights' dtype: the correction must
        undo that one.
        """
        return (
            float(np.asarray(beta, self.weights[0].dtype.as_numpy_dtype)) if self.weights else beta
        )

    def update(
        self, weight: tf.Variable, gradient: Tensor, slots: dict[str, tf.Variable], row: Scalars
    ) -> None:
        zero = tf.zeros([], weight.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=weight.handle,
            m=slots["m"].handle,
            v=slots["v"].handle,
            beta1_power=zero,
            beta2_power=zero,
            lr=row[1],
            beta1=tf.constant(self.spec.beta1, weight.dtype),
            beta2=tf.constant(self.spec.beta2, weight.dtype),
            epsilon=row[2],
            grad=gradient,
        )


class AdamWRule(AdamRule):
    """``w *= 1 - rate weight_decay`` on every weight, then Adam (Loshchilov and Hutter 2019,
    Algorithm 2).
    """

    spec: AdamW

    def update(
        self, weight: tf.Variable, gradient: Tensor, slots: dict[str, tf.Variable], row: Scalars
    ) -> None:
        weight.assign(
            weight
            * (
                tf.ones([], weight.dtype)
                - row[0] * tf.constant(self.spec.weight_decay, weight.dtype)
            )
        )
        super().update(weight, gradient, slots, row)


class RmsPropRule(Optimizer):
    """``v = rho v + (1 - rho) g^2``; ``m = mu m + g / (sqrt(v) + epsilon)``; ``w -= rate m``
    (Tieleman and Hinton 2012, lecture 6e). ``ApplyRMSProp`` has epsilon under the root, so this is
    written out.
    """

    spec: RmsProp
    implementation = "operations per variable"

    def _used_slots(self) -> tuple[str, ...]:
        return ("v", "m") if self.spec.momentum else ("v",)

    def update(
        self, weight: tf.Variable, gradient: Tensor, slots: dict[str, tf.Variable], row: Scalars
    ) -> None:
        spec = self.spec
        rho, rest, epsilon = (
            tf.constant(x, weight.dtype) for x in (spec.rho, 1 - spec.rho, spec.epsilon)
        )
        v = rho * slots["v"] + rest * tf.square(gradient)
        slots["v"].assign(v)
        change = gradient / (tf.sqrt(v) + epsilon)
        if "m" in slots:
            change = tf.constant(self.spec.momentum, weight.dtype) * slots["m"] + change
            slots["m"].assign(change)
        weight.assign_sub(row[0] * change)


OPTIMIZERS: dict[str, Callable[[Any, Sequence[tf.Variable]], Optimizer]] = {
    "sgd": SgdRule,
    "adam": AdamRule,
    "adamw": AdamWRule,
    "rmsprop": RmsPropRule,
}
"""Optimizer name -> builder, for the same names as ``spec.training.OPTIMIZERS``."""


def build(spec: AnyOptimizer, weights: Sequence[tf.Variable]) -> Optimizer:
    """The optimizer of an experiment for ``weights``."""
    return OPTIMIZERS[spec.name](spec, weights)
