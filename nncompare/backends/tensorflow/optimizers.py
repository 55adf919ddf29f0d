"""Optimizers in TensorFlow operations, on the fused update kernels where those are exactly the
canonical formula; natively those of ``tf.compat.v1.train``.

Everything that depends on the step alone (learning rate, bias correction) is computed in NumPy
float64 for all steps of a plan at once; the training step reads its row of that table.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.base import Array
from nncompare.backends.registry import Registry, defaults_of
from nncompare.spec.frozen import Frozen
from nncompare.spec.job import Job
from nncompare.spec.training import Adam, AdamW, RmsProp, Sgd

_Row = Sequence[Tensor]
"""One row of a table, one scalar a column; the first is the step's learning rate."""
_Weights = Sequence[tf.Variable]
_Slots = dict[str, tf.Variable]
"""What an optimizer remembers of one weight."""
Builder = Callable[[Any, _Weights], "Optimizer"]

OPTIMIZERS: Registry[Frozen, Builder] = Registry("tensorflow", {})


optimizer = OPTIMIZERS.form
"""Registers the builder of an optimizer, with TensorFlow's own values for its fields."""
native_optimizer = OPTIMIZERS.native_form
"""Registers an optimizer as TensorFlow ships it."""


def build(job: Job, weights: _Weights) -> Optimizer:
    """The optimizer of a job for its trained variables, all of one dtype."""
    spec = job.experiment.train.optimizer
    builder = OPTIMIZERS.find(type(spec), native=job.native)
    return builder(spec, weights)


class Optimizer(tf.Module):  # type: ignore[misc]  # TensorFlow is untyped
    """What the training loop needs of an optimizer."""

    implementation: str
    """How it is carried out, for the ledger."""

    def __init__(self, weights: _Weights):
        super().__init__()
        self.weights = list(weights)

    @abstractmethod
    def reset(self) -> None:
        """The state as it was at first."""

    def table(self, rates: Array, taken: int) -> Array:
        """What each step needs: ``(steps, columns)`` float64.

        Args:
            rates: ``(steps,)`` learning rates.
            taken: steps taken before the first of them.
        """
        return rates[:, None]

    @abstractmethod
    def apply(self, gradients: Sequence[Any], row: _Row) -> None:
        """One update with one gradient a weight; ``row``: of the table."""


class _Rule(Optimizer):
    """One slot variable per weight and kind, and one formula for every weight; dense gradients."""

    implementation = "one fused kernel per variable"

    def __init__(self, spec: Any, weights: _Weights, slots: Sequence[str]):
        super().__init__(weights)
        self.spec = spec
        self.slots: list[_Slots] = []
        for weight in self.weights:
            zeros = tf.zeros_like(weight)
            self.slots.append({name: tf.Variable(zeros, trainable=False) for name in slots})

    def reset(self) -> None:
        for slots in self.slots:
            for slot in slots.values():
                slot.assign(tf.zeros_like(slot))

    def apply(self, gradients: Sequence[Any], row: _Row) -> None:
        for weight, gradient, slots in zip(self.weights, gradients, self.slots, strict=True):
            self.update(weight, gradient, slots, row)

    @abstractmethod
    def update(self, weight: tf.Variable, gradient: Tensor, slots: _Slots, row: _Row) -> None:
        """One weight's update."""


class _SgdRule(_Rule):
    """``ApplyGradientDescent`` and ``ApplyMomentum`` are the formulas below."""

    spec: Sgd

    def update(self, weight: tf.Variable, gradient: Tensor, slots: _Slots, row: _Row) -> None:
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


@optimizer(Sgd)
def sgd(spec: Sgd, weights: _Weights) -> Optimizer:
    """``m = mu m + g``; ``w -= rate m``, or with Nesterov ``w -= rate (g + mu m)`` (Sutskever et
    al. 2013).
    """
    return _SgdRule(spec, weights, ["m"] if spec.momentum else [])


class _AdamRule(_Rule):
    """With ``c1 = 1 - beta1^t`` and ``c2 = 1 - beta2^t`` the rule is ``w -= rate (m / c1) / (sqrt(v
    / c2) + epsilon)``, which equals ``w -= alpha m / (sqrt(v) + epsilon_t)`` with ``alpha = rate
    sqrt(c2) / c1`` and ``epsilon_t = epsilon sqrt(c2)``. The kernel ``ApplyAdam`` computes the
    latter; given powers of beta of zero it adds no correction of its own.
    """

    spec: Adam | AdamW

    def table(self, rates: Array, taken: int) -> Array:
        t = np.arange(taken + 1, taken + 1 + len(rates))
        c1 = 1 - self._as_stored(self.spec.beta1) ** t
        root_c2 = np.sqrt(1 - self._as_stored(self.spec.beta2) ** t)
        return np.stack([rates, rates * root_c2 / c1, self.spec.epsilon * root_c2], axis=1)

    def _as_stored(self, beta: float) -> float:
        """The kernel's moments decay by beta rounded to the weights' dtype: the correction must
        undo that one.
        """
        if not self.weights:
            return beta
        return float(np.asarray(beta, self.weights[0].dtype.as_numpy_dtype))

    def update(self, weight: tf.Variable, gradient: Tensor, slots: _Slots, row: _Row) -> None:
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


@optimizer(Adam)
def adam(spec: Adam, weights: _Weights) -> Optimizer:
    """Kingma and Ba 2015, Algorithm 1."""
    return _AdamRule(spec, weights, ["m", "v"])


class _AdamWRule(_AdamRule):
    spec: AdamW

    def update(self, weight: tf.Variable, gradient: Tensor, slots: _Slots, row: _Row) -> None:
        one = tf.ones([], weight.dtype)
        # the factor first, as PyTorch computes it
        kept = one - row[0] * tf.constant(self.spec.weight_decay, weight.dtype)
        weight.assign(weight * kept)
        super().update(weight, gradient, slots, row)


@optimizer(AdamW)
def adamw(spec: AdamW, weights: _Weights) -> Optimizer:
    """``w *= 1 - rate weight_decay`` on every weight, then Adam (Loshchilov and Hutter 2019,
    Algorithm 2).
    """
    return _AdamWRule(spec, weights, ["m", "v"])


class _RmsPropRule(_Rule):
    """Written out, since ``ApplyRMSProp`` has epsilon under the root."""

    spec: RmsProp
    implementation = "operations per variable"

    def update(self, weight: tf.Variable, gradient: Tensor, slots: _Slots, row: _Row) -> None:
        spec = self.spec
        rho = tf.constant(spec.rho, weight.dtype)
        rest = tf.constant(1 - spec.rho, weight.dtype)
        epsilon = tf.constant(spec.epsilon, weight.dtype)
        v = rho * slots["v"] + rest * tf.square(gradient)
        slots["v"].assign(v)
        change = gradient / (tf.sqrt(v) + epsilon)
        if "m" in slots:
            change = tf.constant(spec.momentum, weight.dtype) * slots["m"] + change
            slots["m"].assign(change)
        weight.assign_sub(row[0] * change)


@optimizer(RmsProp)
def rmsprop(spec: RmsProp, weights: _Weights) -> Optimizer:
    """``v = rho v + (1 - rho) g^2``; ``m = mu m + g / (sqrt(v) + epsilon)``; ``w -= rate m``
    (Tieleman and Hinton 2012, lecture 6e).
    """
    return _RmsPropRule(spec, weights, ["v", "m"] if spec.momentum else ["v"])


# --- as TensorFlow ships them

_V1 = tf.compat.v1.train


class _V1Optimizer(Optimizer):
    """An optimizer of ``tf.compat.v1.train`` as it comes.

    Args:
        weights: trained variables.
        make: of a function that gives the current step's learning rate.
        decay: ``w -= rate decay w`` before the update, which no optimizer of TensorFlow has.
    """

    def __init__(
        self, weights: _Weights, make: Callable[[Callable[[], Tensor]], Any], decay: float = 0.0
    ):
        super().__init__(weights)
        self.decay = decay
        self._rate: Tensor = None
        # these optimizers call what they are given for a rate, once in each update
        self._rule = make(lambda: self._rate)
        # all state at once: a ``tf.function`` must not make variables later
        self._rule._create_slots(self.weights)
        self._state = [(variable, tf.identity(variable)) for variable in self._rule.variables()]
        self.implementation = f"tf.compat.v1.train.{type(self._rule).__name__}"

    def reset(self) -> None:
        for variable, value in self._state:
            variable.assign(value)

    def apply(self, gradients: Sequence[Any], row: _Row) -> None:
        """Gradients may be ``tf.IndexedSlices``."""
        self._rate = row[0]
        if self.decay:
            for weight in self.weights:
                weight.assign_sub(row[0] * tf.constant(self.decay, weight.dtype) * weight)
        self._rule.apply_gradients(list(zip(gradients, self.weights, strict=True)))


def _ours(kind: type[Frozen], *fields: str) -> dict[str, Any]:
    """What TensorFlow does not set: the aligned convention's values."""
    return {field: kind.model_fields[field].default for field in fields}


@native_optimizer(Sgd, **_ours(Sgd, "lr", "momentum", "nesterov"))
def native_sgd(spec: Sgd, weights: _Weights) -> Optimizer:
    """``GradientDescentOptimizer``, or ``MomentumOptimizer``."""
    if not spec.momentum:
        return _V1Optimizer(weights, _V1.GradientDescentOptimizer)
    # its momentum has no default: what the file leaves open is given as well
    make = partial(_V1.MomentumOptimizer, momentum=spec.momentum, use_nesterov=spec.nesterov)
    return _V1Optimizer(weights, make)


_ADAM = {"beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon"}
"""Keyword -> field."""
_ADAM_DEFAULTS = defaults_of(_V1.AdamOptimizer, learning_rate="lr", **_ADAM)


@native_optimizer(Adam, **_ADAM_DEFAULTS)
def native_adam(spec: Adam, weights: _Weights) -> Optimizer:
    """``AdamOptimizer``."""
    return _V1Optimizer(weights, partial(_V1.AdamOptimizer, **spec.given(**_ADAM)))


@native_optimizer(AdamW, **_ADAM_DEFAULTS, **_ours(AdamW, "weight_decay"))
def native_adamw(spec: AdamW, weights: _Weights) -> Optimizer:
    """``AdamOptimizer`` behind the decay, since TensorFlow has no AdamW."""
    make = partial(_V1.AdamOptimizer, **spec.given(**_ADAM))
    return _V1Optimizer(weights, make, decay=spec.weight_decay)


_RMSPROP = {"decay": "rho", "momentum": "momentum", "epsilon": "epsilon"}


@native_optimizer(
    RmsProp,
    **_ours(RmsProp, "lr"),
    **defaults_of(_V1.RMSPropOptimizer, **_RMSPROP),
)
def native_rmsprop(spec: RmsProp, weights: _Weights) -> Optimizer:
    """``RMSPropOptimizer``."""
    return _V1Optimizer(weights, partial(_V1.RMSPropOptimizer, **spec.given(**_RMSPROP)))


# --- clipping


def clip(job: Job) -> Callable[[list[Any]], list[Any]] | None:
    """Scales gradients by their global norm, or None if the file clips nothing."""
    limit = job.experiment.train.clip_norm
    if limit is None:
        return None
    if job.native:
        # the second result is the norm
        return lambda gradients: tf.clip_by_global_norm(gradients, limit)[0]
    return partial(clip_by_global_norm, norm=limit)


def clip_by_global_norm(gradients: Sequence[Tensor], norm: float) -> list[Tensor]:
    """All gradients times ``norm / total`` if ``total``, the norm of them all together, is larger
    than ``norm`` (Pascanu et al. 2013, Algorithm 1; no epsilon).
    """
    limit = tf.constant(norm, gradients[0].dtype)
    # tf.nn.l2_loss is sum g^2 / 2 in one kernel
    halves = tf.add_n([tf.nn.l2_loss(g) for g in gradients])
    total = tf.sqrt(tf.constant(2, limit.dtype) * halves)
    factor = tf.where(total > limit, limit / total, tf.ones_like(total))
    return [g * factor for g in gradients]
