"""Optimizers in TensorFlow operations, on the fused update kernels where those are exactly the
canonical formula; natively those of ``tf.compat.v1.train``.

Everything that depends on the step alone (learning rate, bias correction) is computed in NumPy
float64 for all steps of a plan at once; the training step reads its row of that table.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from nncompare.backends.base import Array
from nncompare.backends.registry import Registry, defaults_of
from nncompare.spec.frozen import Frozen
from nncompare.spec.job import Job
from nncompare.spec.training import Adam, AdamW, RmsProp, Sgd

S = TypeVar("S", bound=Frozen)
_Scalars = Sequence[tf.Tensor]
"""One row of a table, one scalar a column; the first is the step's learning rate."""
_Weights = Sequence[tf.Variable]
_Slots = dict[str, tf.Variable]
"""What an optimizer remembers of one weight."""
Builder = Callable[[S, _Weights], "Optimizer"]

OPTIMIZERS: Registry[Frozen, Builder[Any]] = Registry("tensorflow")


def optimizer(kind: type[S], **defaults: Any) -> Callable[[Builder[S]], Builder[S]]:
    """Registers the builder of an optimizer; ``defaults``: TensorFlow's own values for its
    fields.
    """

    def register(builder: Builder[S]) -> Builder[S]:
        OPTIMIZERS.add(kind, builder, defaults)
        return builder

    return register


def native_optimizer(kind: type[S], **defaults: Any) -> Callable[[Builder[S]], Builder[S]]:
    """Registers the builder of an optimizer as TensorFlow ships it."""

    def register(builder: Builder[S]) -> Builder[S]:
        OPTIMIZERS.add(kind, builder, defaults, native=True)
        return builder

    return register


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
    def apply(self, gradients: Sequence[Any], row: _Scalars) -> None:
        """One update with one gradient a weight; ``row``: of the table."""


class _Rule(Optimizer):
    """One slot variable per weight and kind, and one formula for every weight; dense gradients."""

    implementation = "one fused kernel per variable"

    def __init__(self, weights: _Weights, slots: tuple[str, ...]):
        super().__init__(weights)
        self.slots = {
            name: [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in self.weights]
            for name in slots
        }

    def reset(self) -> None:
        for slots in self.slots.values():
            for slot in slots:
                slot.assign(tf.zeros_like(slot))

    def apply(self, gradients: Sequence[Any], row: _Scalars) -> None:
        for index, (weight, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            slots = {name: found[index] for name, found in self.slots.items()}
            self.update(weight, gradient, slots, row)

    @abstractmethod
    def update(
        self, weight: tf.Variable, gradient: tf.Tensor, slots: _Slots, row: _Scalars
    ) -> None:
        """One weight's update."""


class _SgdRule(_Rule):
    """``ApplyGradientDescent`` and ``ApplyMomentum`` are the formulas below."""

    def __init__(self, spec: Sgd, weights: _Weights):
        super().__init__(weights, ("m",) if spec.momentum else ())
        self.spec = spec

    def update(
        self, weight: tf.Variable, gradient: tf.Tensor, slots: _Slots, row: _Scalars
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


@optimizer(Sgd)
def sgd(spec: Sgd, weights: _Weights) -> Optimizer:
    """``m = mu m + g``; ``w -= rate m``, or with Nesterov ``w -= rate (g + mu m)`` (Sutskever et
    al. 2013).
    """
    return _SgdRule(spec, weights)


class _AdamRule(_Rule):
    """With ``c1 = 1 - beta1^t`` and ``c2 = 1 - beta2^t`` the rule is ``w -= rate (m / c1) / (sqrt(v
    / c2) + epsilon)``, which equals ``w -= alpha m / (sqrt(v) + epsilon_t)`` with ``alpha = rate
    sqrt(c2) / c1`` and ``epsilon_t = epsilon sqrt(c2)``. The kernel ``ApplyAdam`` computes the
    latter; given powers of beta of zero it adds no correction of its own.
    """

    def __init__(self, spec: Adam | AdamW, weights: _Weights):
        super().__init__(weights, ("m", "v"))
        self.spec = spec

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

    def update(
        self, weight: tf.Variable, gradient: tf.Tensor, slots: _Slots, row: _Scalars
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


@optimizer(Adam)
def adam(spec: Adam, weights: _Weights) -> Optimizer:
    """Kingma and Ba 2015, Algorithm 1."""
    return _AdamRule(spec, weights)


class _AdamWRule(_AdamRule):
    spec: AdamW

    def update(
        self, weight: tf.Variable, gradient: tf.Tensor, slots: _Slots, row: _Scalars
    ) -> None:
        one = tf.ones([], weight.dtype)
        kept = one - row[0] * tf.constant(self.spec.weight_decay, weight.dtype)
        weight.assign(weight * kept)
        super().update(weight, gradient, slots, row)


@optimizer(AdamW)
def adamw(spec: AdamW, weights: _Weights) -> Optimizer:
    """``w *= 1 - rate weight_decay`` on every weight, then Adam (Loshchilov and Hutter 2019,
    Algorithm 2).
    """
    return _AdamWRule(spec, weights)


class _RmsPropRule(_Rule):
    """Written out, since ``ApplyRMSProp`` has epsilon under the root."""

    implementation = "operations per variable"

    def __init__(self, spec: RmsProp, weights: _Weights):
        super().__init__(weights, ("v", "m") if spec.momentum else ("v",))
        self.spec = spec

    def update(
        self, weight: tf.Variable, gradient: tf.Tensor, slots: _Slots, row: _Scalars
    ) -> None:
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
    return _RmsPropRule(spec, weights)


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
        self, weights: _Weights, make: Callable[[Callable[[], tf.Tensor]], Any], decay: float = 0.0
    ):
        super().__init__(weights)
        self.decay = decay
        self._rate: tf.Tensor = None
        self._rule = make(lambda: self._rate)
        # all state at once: a tf.function must not make variables later
        self._rule._create_slots(self.weights)
        self._state = [(variable, tf.identity(variable)) for variable in self._rule.variables()]
        self.implementation = f"tf.compat.v1.train.{type(self._rule).__name__}"

    def reset(self) -> None:
        for variable, value in self._state:
            variable.assign(value)

    def apply(self, gradients: Sequence[Any], row: _Scalars) -> None:
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
    return _V1Optimizer(
        weights,
        lambda rate: _V1.MomentumOptimizer(rate, spec.momentum, use_nesterov=spec.nesterov),
    )


_ADAM = defaults_of(
    _V1.AdamOptimizer, lr="learning_rate", beta1="beta1", beta2="beta2", epsilon="epsilon"
)


@native_optimizer(Adam, **_ADAM)
def native_adam(spec: Adam, weights: _Weights) -> Optimizer:
    """``AdamOptimizer``."""
    own = spec.given(beta1="beta1", beta2="beta2", epsilon="epsilon")
    return _V1Optimizer(weights, lambda rate: _V1.AdamOptimizer(rate, **own))


@native_optimizer(AdamW, **_ADAM, **_ours(AdamW, "weight_decay"))
def native_adamw(spec: AdamW, weights: _Weights) -> Optimizer:
    """``AdamOptimizer`` behind the decay, since TensorFlow has no AdamW."""
    own = spec.given(beta1="beta1", beta2="beta2", epsilon="epsilon")
    return _V1Optimizer(
        weights, lambda rate: _V1.AdamOptimizer(rate, **own), decay=spec.weight_decay
    )


@native_optimizer(
    RmsProp,
    **_ours(RmsProp, "lr"),
    **defaults_of(_V1.RMSPropOptimizer, rho="decay", momentum="momentum", epsilon="epsilon"),
)
def native_rmsprop(spec: RmsProp, weights: _Weights) -> Optimizer:
    """``RMSPropOptimizer``."""
    own = spec.given(decay="rho", momentum="momentum", epsilon="epsilon")
    return _V1Optimizer(weights, lambda rate: _V1.RMSPropOptimizer(rate, **own))


# --- clipping


def clip(job: Job) -> Callable[[list[Any]], list[Any]] | None:
    """Scales gradients by their global norm, or None if the file clips nothing."""
    limit = job.experiment.train.clip_norm
    if limit is None:
        return None
    if job.native:

        def clip_natively(gradients: list[Any]) -> list[Any]:
            clipped: list[Any] = tf.clip_by_global_norm(gradients, limit)[0]
            return clipped

        return clip_natively

    def clip_exactly(gradients: list[Any]) -> list[Any]:
        return clip_by_global_norm(gradients, limit)

    return clip_exactly


def clip_by_global_norm(gradients: Sequence[tf.Tensor], norm: float) -> list[tf.Tensor]:
    """All gradients times ``norm / total`` if ``total``, the norm of them all together, is larger
    than ``norm`` (Pascanu et al. 2013, Algorithm 1; no epsilon).
    """
    limit = tf.constant(norm, gradients[0].dtype)
    # tf.nn.l2_loss is sum g^2 / 2 in one kernel
    halves = tf.add_n([tf.nn.l2_loss(g) for g in gradients])
    total = tf.sqrt(tf.constant(2, limit.dtype) * halves)
    factor = tf.where(total > limit, limit / total, tf.ones_like(total))
    return [g * factor for g in gradients]
