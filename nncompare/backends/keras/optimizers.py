"""Keras optimizers with the update rules of ``spec.training``.

Each is the Keras class with the one method overridden in which Keras's formula differs; variables,
bookkeeping and the way updates are applied stay Keras's own. Two more things are common to all: the
gradient of an embedding is made dense (Keras squares the sparse slices of a token that occurs twice
before it adds them), and hyperparameters meet the tensors as Python numbers in arithmetic, which
TensorFlow reads in the tensor's own precision (``ops.cast`` would round them to float32 first).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from nncompare.spec.training import Adam, AdamW, RmsProp, Sgd


class Table(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of every step, read from a table.

    Args:
        dtype: of the rates that the optimizer sees.
    """

    def __init__(self, dtype: np.dtype[Any]):
        self._rates = tf.Variable(np.zeros(1, dtype), shape=[None], trainable=False)
        self._begin = tf.Variable(0, dtype=tf.int64, trainable=False)

    def start(self, rates: np.ndarray[Any, Any], iteration: int) -> None:
        """Uses ``rates`` (``(steps,)``) from the optimizer's ``iteration`` on."""
        self._rates.assign(rates.astype(self._rates.dtype.as_numpy_dtype))
        self._begin.assign(iteration)

    def __call__(self, step: Any) -> Any:
        index = ops.convert_to_tensor(step) - self._begin
        return tf.gather(self._rates, index)


class _Aligned:
    """Dense gradients and clipping by the global norm, before Keras applies the update."""

    clip_norm: float | None = None

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Clips to ``g * min(1, clip_norm / norm)`` (Pascanu et al. 2013), exact where nothing is
        clipped.

        Keras's ``global_clipnorm`` multiplies by ``c * (1 / c)`` there, which is not always one.
        """
        dense = [tf.convert_to_tensor(grad) for grad in grads]
        if self.clip_norm is not None:
            norm = ops.sqrt(sum(ops.sum(ops.square(grad)) for grad in dense))
            scale = ops.where(norm > self.clip_norm, self.clip_norm / norm, ops.ones_like(norm))
            dense = [grad * scale for grad in dense]
        super().apply(dense, trainable_variables)  # type: ignore[misc]


class AlignedSgd(_Aligned, keras.optimizers.SGD):
    """``m = momentum m + g``; ``w -= lr m``, with Nesterov ``w -= lr (g + momentum m)`` (Sutskever
    et al. 2013).

    Keras keeps ``-lr m`` in the buffer, so that a change of the rate reaches old gradients late.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        buffer = self.momentums[self._get_variable_index(variable)]
        moved = buffer * self.momentum + gradient
        self.assign(buffer, moved)
        direction = gradient + moved * self.momentum if self.nesterov else moved
        self.assign_sub(variable, direction * learning_rate)


class _AdamStep(_Aligned):
    """Adam with epsilon after the bias correction (Kingma and Ba 2015, Algorithm 1).

    With ``a = sqrt(1 - beta2^t)`` the rule ``lr m / (1 - beta1^t) / (sqrt(v) / a + epsilon)`` is
    written ``(lr a / (1 - beta1^t)) m / (sqrt(v) + epsilon a)``: Keras's own operations with its
    ``epsilon`` times ``a``. The two corrections are scalars and computed in float64: in float32 ``1
    - 0.999^1`` is off by 5e-5.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        rate, epsilon = self._corrected(learning_rate, variable.dtype)
        self.assign_add(first, (gradient - first) * (1 - self.beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1 - self.beta_2))
        self.assign_sub(variable, first * rate / (ops.sqrt(second) + epsilon))

    def _corrected(self, learning_rate: Any, dtype: Any) -> tuple[Any, Any]:
        step = ops.cast(self.iterations + 1, "float64")
        root = ops.sqrt(1 - ops.power(ops.convert_to_tensor(self.beta_2, "float64"), step))
        rate = ops.cast(learning_rate, "float64") * root / (1 - self.beta_1**step)
        return ops.cast(rate, dtype), ops.cast(self.epsilon * root, dtype)


class AlignedAdam(_AdamStep, keras.optimizers.Adam):
    """``keras.optimizers.Adam`` with the epsilon of Algorithm 1."""


class AlignedAdamW(_AdamStep, keras.optimizers.AdamW):
    """The same with ``w *= 1 - lr weight_decay`` first, on every variable (Loshchilov and Hutter
    2019).
    """


class AlignedRmsProp(_Aligned, keras.optimizers.RMSprop):
    """``v = rho v + (1 - rho) g^2``; ``w -= lr g / (sqrt(v) + epsilon)`` (Tieleman and Hinton
    2012).

    With momentum ``m = momentum m + g / (sqrt(v) + epsilon)``; ``w -= lr m``. Keras takes ``sqrt(v
    + epsilon)`` and keeps the rate inside ``m``.
    """

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


def _sgd(spec: Sgd, rate: Table) -> Any:
    return AlignedSgd(rate, momentum=spec.momentum, nesterov=spec.nesterov)


def _adam(spec: Adam, rate: Table) -> Any:
    return AlignedAdam(rate, beta_1=spec.beta1, beta_2=spec.beta2, epsilon=spec.epsilon)


def _adamw(spec: AdamW, rate: Table) -> Any:
    # np.float64: Keras casts the decay, and a Python float would pass through float32
    decay = np.float64(spec.weight_decay)
    return AlignedAdamW(
        rate, weight_decay=decay, beta_1=spec.beta1, beta_2=spec.beta2, epsilon=spec.epsilon
    )


def _rmsprop(spec: RmsProp, rate: Table) -> Any:
    return AlignedRmsProp(rate, rho=spec.rho, momentum=spec.momentum, epsilon=spec.epsilon)


OPTIMIZERS: dict[str, Callable[[Any, Table], Any]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
}


def optimizer(spec: Any, clip_norm: float | None, rate: Table) -> Any:
    """The Keras optimizer for ``spec.training.AnyOptimizer``."""
    made = OPTIMIZERS[spec.name](spec, rate)
    made.clip_norm = clip_norm
    return made
