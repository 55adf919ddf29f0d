"""Keras optimizers with the update rules of ``spec.training``.

Each is the Keras class with the one method overridden in which Keras's formula differs; variables,
bookkeeping and the way updates are applied stay Keras's own. Two more things are common to all: the
gradient of an embedding is made dense (Keras squares the sparse slices of a token that occurs twice
before it adds them), and hyperparameters meet the tensors as Python numbers in arithmetic, which
TensorFlow reads in the tensor's own precision (``ops.cast`` would round them to float32 first).

Natively they are Keras's classes as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from nncompare.backends.base import Array
from nncompare.backends.registry import Registry, defaults_of
from nncompare.spec.frozen import Frozen
from nncompare.spec.job import Job
from nncompare.spec.training import Adam, AdamW, RmsProp, Sgd


class Table(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of every step, read from a table.

    Args:
        dtype: of the rates that the optimizer sees.
    """

    def __init__(self, dtype: np.dtype[Any]):
        self._rates = tf.Variable(np.zeros(1, dtype), shape=[None], trainable=False)
        self._begin = tf.Variable(0, dtype=tf.int64, trainable=False)

    def start(self, rates: Array, iteration: int) -> None:
        """Uses ``rates`` (``(steps,)``) from the optimizer's ``iteration`` on."""
        self._rates.assign(rates.astype(self._rates.dtype.as_numpy_dtype))
        self._begin.assign(iteration)

    def __call__(self, step: Any) -> Any:
        index = ops.convert_to_tensor(step) - self._begin
        return tf.gather(self._rates, index)


Builder = Callable[[Any, Table], keras.optimizers.Optimizer]
"""Of the description and the learning rates."""

OPTIMIZERS: Registry[Frozen, Builder] = Registry("keras", {})


optimizer = OPTIMIZERS.form
"""Registers the builder of an optimizer, with Keras's own values for its fields."""
native_optimizer = OPTIMIZERS.native_form
"""Registers an optimizer as Keras ships it."""


def build(job: Job, rates: Table) -> keras.optimizers.Optimizer:
    """The optimizer of a job, which clips as well."""
    train = job.experiment.train
    made = OPTIMIZERS.find(type(train.optimizer), native=job.native)(train.optimizer, rates)
    if job.native:
        # the file speaks of the global norm; Keras's ``clipnorm`` is of each variable by itself
        made.global_clipnorm = train.clip_norm
    else:
        made.clip_norm = train.clip_norm
    return made


def clip_by_global_norm(gradients: Sequence[tf.Tensor], limit: float) -> list[tf.Tensor]:
    """``g * min(1, limit / norm)``, norm over all of them (Pascanu et al. 2013), exact where
    nothing is clipped. Keras's ``global_clipnorm`` multiplies by ``c * (1 / c)`` there, which is
    not always one.
    """
    # all gradients in one number: Keras has a norm of one tensor alone
    norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients))
    scale = ops.where(norm > limit, limit / norm, ops.ones_like(norm))
    return [gradient * scale for gradient in gradients]


def _as_it_comes(
    kind: type[Frozen], own: type[keras.optimizers.Optimizer], **keywords: str
) -> None:
    """The native form of a description: Keras's ``own`` class, told only what the file gives.

    Args:
        kind: of the description.
        own: Keras's class.
        keywords: its keywords, each with the field that it takes.
    """

    @native_optimizer(kind, **defaults_of(own, learning_rate="lr", **keywords))
    def build(spec: Frozen, rates: Table) -> keras.optimizers.Optimizer:
        return own(rates, **spec.given(**keywords))


_SGD = {"momentum": "momentum", "nesterov": "nesterov"}
_ADAM = {"beta_1": "beta1", "beta_2": "beta2", "epsilon": "epsilon"}
_RMSPROP = {"rho": "rho", "momentum": "momentum", "epsilon": "epsilon"}
"""Keras's keyword -> the field that it takes."""


class _Aligned:
    """Dense gradients and clipping by the global norm, before Keras applies the update."""

    clip_norm: float | None = None

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        dense = [tf.convert_to_tensor(grad) for grad in grads]
        if self.clip_norm is not None:
            dense = clip_by_global_norm(dense, self.clip_norm)
        super().apply(dense, trainable_variables)  # type: ignore[misc]  # of the Keras class beside


class AlignedSgd(_Aligned, keras.optimizers.SGD):  # type: ignore[misc]  # Keras is untyped
    """Keras keeps ``-lr m`` in the buffer, so that a change of the rate reaches old gradients
    late.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # without a buffer Keras's formula is the canonical one
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        buffer = self.momentums[self._get_variable_index(variable)]
        moved = buffer * self.momentum + gradient
        self.assign(buffer, moved)
        direction = gradient + moved * self.momentum if self.nesterov else moved
        self.assign_sub(variable, direction * learning_rate)


@optimizer(Sgd)
def sgd(spec: Sgd, rates: Table) -> keras.optimizers.Optimizer:
    """``m = momentum m + g``; ``w -= lr m``, with Nesterov ``w -= lr (g + momentum m)`` (Sutskever
    et al. 2013).
    """
    return AlignedSgd(rates, **spec.given(**_SGD))


_as_it_comes(Sgd, keras.optimizers.SGD, **_SGD)


class _AdamStep(_Aligned):
    """Adam with epsilon after the bias correction (Kingma and Ba 2015, Algorithm 1).

    With ``a = sqrt(1 - beta2^t)`` the rule ``lr m / (1 - beta1^t) / (sqrt(v) / a + epsilon)`` is
    written ``(lr a / (1 - beta1^t)) m / (sqrt(v) + epsilon a)``: Keras's own operations with its
    ``epsilon`` times ``a``. The two corrections are scalars and computed in float64: in float32 ``1
    - 0.999^1`` is off by 5e-5.
    """

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        first = self._momentums[index]
        second = self._velocities[index]
        rate, epsilon = self._corrected(learning_rate, variable.dtype)
        self.assign_add(first, (gradient - first) * (1 - self.beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1 - self.beta_2))
        self.assign_sub(variable, first * rate / (ops.sqrt(second) + epsilon))

    def _corrected(self: Any, learning_rate: Any, dtype: Any) -> tuple[Any, Any]:
        step = ops.cast(self.iterations + 1, "float64")
        # not ``ops.cast``, which would take beta through float32
        root = ops.sqrt(1 - ops.power(ops.convert_to_tensor(self.beta_2, "float64"), step))
        rate = ops.cast(learning_rate, "float64") * root / (1 - self.beta_1**step)
        return ops.cast(rate, dtype), ops.cast(self.epsilon * root, dtype)


class AlignedAdam(_AdamStep, keras.optimizers.Adam):  # type: ignore[misc]  # Keras is untyped
    """``keras.optimizers.Adam`` with the epsilon of Algorithm 1."""


@optimizer(Adam)
def adam(spec: Adam, rates: Table) -> keras.optimizers.Optimizer:
    """Kingma and Ba 2015, Algorithm 1."""
    return AlignedAdam(rates, **spec.given(**_ADAM))


_as_it_comes(Adam, keras.optimizers.Adam, **_ADAM)


class AlignedAdamW(_AdamStep, keras.optimizers.AdamW):  # type: ignore[misc]  # Keras is untyped
    """The step of Algorithm 1 behind Keras's own decay."""


@optimizer(AdamW)
def adamw(spec: AdamW, rates: Table) -> keras.optimizers.Optimizer:
    """``w *= 1 - lr weight_decay`` on every variable, then Adam (Loshchilov and Hutter 2019)."""
    # np.float64: Keras casts the decay, and a Python float would pass through float32
    decay = np.float64(spec.weight_decay)
    return AlignedAdamW(rates, weight_decay=decay, **spec.given(**_ADAM))


_as_it_comes(AdamW, keras.optimizers.AdamW, **_ADAM, weight_decay="weight_decay")


class AlignedRmsProp(_Aligned, keras.optimizers.RMSprop):  # type: ignore[misc]  # untyped
    """Keras takes ``sqrt(v + epsilon)`` and keeps the rate inside ``m``."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        velocity = self._velocities[index]
        self.assign(velocity, velocity * self.rho + ops.square(gradient) * (1 - self.rho))
        step = gradient / (ops.sqrt(velocity) + self.epsilon)
        if self.momentum:
            buffer = self._momentums[index]
            self.assign(buffer, buffer * self.momentum + step)
            step = ops.convert_to_tensor(buffer)
        self.assign_sub(variable, step * learning_rate)


@optimizer(RmsProp)
def rmsprop(spec: RmsProp, rates: Table) -> keras.optimizers.Optimizer:
    """``v = rho v + (1 - rho) g^2``; ``m = momentum m + g / (sqrt(v) + epsilon)``; ``w -= lr m``
    (Tieleman and Hinton 2012).
    """
    return AlignedRmsProp(rates, **spec.given(**_RMSPROP))


_as_it_comes(RmsProp, keras.optimizers.RMSprop, **_RMSPROP)
