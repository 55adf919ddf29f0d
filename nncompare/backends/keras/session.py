"""One Keras model on one device: ``Model.fit`` under a gate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nncompare.backends.base import EVALUATION_BATCH, Array, Device, Gate, Params, Piece
from nncompare.backends.keras import device as devices
from nncompare.backends.keras import native
from nncompare.backends.keras.layers import LOWERINGS
from nncompare.backends.keras.losses import loss, regularizer
from nncompare.backends.keras.lowering import Lowering, lower_model
from nncompare.backends.keras.optimizers import Table, optimizer
from nncompare.backends.keras.pipeline import batches
from nncompare.data.base import Data
from nncompare.errors import Refused
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.semantics import ALIGNED, describe
from nncompare.spec.job import Job


class KerasSession:
    """A compiled functional model with its data (see ``backends.base.Session``).

    Raises:
        Refused: XLA was asked for, and Keras would train without it.
    """

    def __init__(self, job: Job, data: Data, device: Device):
        self.device = device
        self._job = job
        self._train = data.cast(job.dtype).train
        self._compiled = job.mode == "xla"
        strategy = devices.strategy(device)
        with devices.scope(strategy):
            train = job.experiment.train
            lowering = _lowering(job)
            model = lower_model(job.model, lowering)
            self._rates = Table(job.dtype)
            make = native.optimizer if job.native else optimizer
            self._optimizer = make(train.optimizer, train.clip_norm, self._rates)
            self._optimizer.build(model.trainable_variables)
            model.compile(self._optimizer, loss(job.experiment.task), jit_compile=self._compiled)
            if self._compiled and not model.jit_compile:
                raise Refused(
                    "Keras leaves XLA out here: a layer's kernel, or deterministic operations,"
                    " exclude it"
                )
            self._probe = keras.Model(model.inputs, lowering.outputs, name="outputs")
        self._model = model
        self._bindings = lowering.bindings
        self._masked = lowering.masked
        with tf.device("/CPU:0"):
            self._x, self._y = tf.constant(self._train.x), tf.constant(self._train.y)
        self._outputs = tf.function(self._probe, jit_compile=self._compiled, reduce_retracing=True)
        self._gradients = tf.function(
            self._differentiate, jit_compile=self._compiled, reduce_retracing=True
        )

    def load(self, params: Params) -> None:
        """Weights and running statistics := ``params``; optimizer state := zeros, as when it was
        built.
        """
        if unknown := set(params) - set(self._bindings):
            raise KeyError(f"parameters that the model lacks: {', '.join(sorted(unknown))}")
        for name, binding in self._bindings.items():
            if name in params or not self._job.native:
                binding.write(np.asarray(params[name], self._job.dtype))
        for variable in self._optimizer.variables:
            variable.assign(tf.zeros(variable.shape, variable.dtype))

    def params(self) -> Params:
        """Copies of all weights and running statistics."""
        return {name: binding.read() for name, binding in self._bindings.items()}

    def predict(self, x: Array) -> Array:
        """Logits or values ``(N, …)`` through ``Model.predict_on_batch``, which costs a fifth of
        ``Model.predict``.
        """
        x = np.asarray(x, self._train.x.dtype)
        starts = range(0, len(x), EVALUATION_BATCH)
        return np.concatenate(
            [self._model.predict_on_batch(x[i : i + EVALUATION_BATCH]) for i in starts]
        )

    def outputs(self, x: Array, *, training: bool = False) -> dict[str, Array]:
        """Node name -> output for one batch; nothing changes."""
        with self._unchanged():
            self._draw(0, len(x))
            found = self._outputs(
                tf.constant(np.asarray(x, self._train.x.dtype)), training=training
            )
            return {name: value.numpy() for name, value in found.items()}

    def loss_and_gradients(self, rows: Array, step: int = 0) -> tuple[float, Params]:
        """Loss with penalties and its gradients for the training examples ``rows``; nothing
        changes.
        """
        with self._unchanged():
            self._draw(step, len(rows))
            value, gradients = self._gradients(
                tf.constant(self._train.x[rows]), tf.constant(self._train.y[rows])
            )
        found = {
            id(v): g.numpy()
            for v, g in zip(self._model.trainable_variables, gradients, strict=True)
        }
        bound = {name: b for name, b in self._bindings.items() if id(b.variable) in found}
        return float(value), {
            name: b.to_canonical(found[id(b.variable)]) for name, b in bound.items()
        }

    def table_squares(self, rows: Array, step: int = 0) -> Params:
        """See ``backends.base.TokenwiseSession``."""
        with self._unchanged():
            self._draw(step, len(rows))
            x, y = tf.constant(self._train.x[rows]), tf.constant(self._train.y[rows])
            gradients = self._sparse_gradients(x, y)[1]
        of = {
            id(variable): gradient
            for variable, gradient in zip(self._model.trainable_variables, gradients, strict=True)
        }
        found: Params = {}
        for name, binding in self._bindings.items():
            gradient = of.get(id(binding.variable))
            if isinstance(gradient, tf.IndexedSlices):
                count = binding.variable.shape[0]
                squares = tf.square(gradient.values)
                found[name] = tf.math.unsorted_segment_sum(squares, gradient.indices, count).numpy()
        return found

    def _differentiate(self, x: Any, y: Any) -> tuple[Any, list[Any]]:
        value, gradients = self._sparse_gradients(x, y)
        return value, [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _sparse_gradients(self, x: Any, y: Any) -> tuple[Any, list[Any]]:
        """The loss and its gradients as the optimizer sees them: of a table row by row."""
        with tf.GradientTape() as tape:
            value = self._model.compute_loss(x, y, self._model(x, training=True), training=True)
        return value, tape.gradient(value, self._model.trainable_variables)

    @contextlib.contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Puts running statistics and random states back at the end."""
        kept = [(variable, variable.numpy()) for variable in self._model.non_trainable_variables]
        try:
            yield
        finally:
            for variable, value in kept:
                variable.assign(value)

    def _draw(self, step: int, examples: int) -> None:
        for layer in self._masked:
            layer.draw(step, examples)

    def train(self, plan: BatchPlan, gate: Gate) -> None:
        """Runs the plan in one call of ``Model.fit``; an "epoch" of Keras is a piece of the
        gate.
        """
        piece = gate.next()
        if piece is None:
            return
        self._rates.start(plan.learning_rate, int(self._optimizer.iterations.numpy()))
        callback = _Masks(self, gate, piece, plan) if self._masked else _Pieces(self, gate, piece)
        # Both counts are upper limits: the callback ends each piece and the whole.
        self._model.fit(
            batches(self._x, self._y, plan),
            epochs=plan.steps,
            steps_per_epoch=plan.steps,
            callbacks=[callback],
            shuffle=False,
            verbose=0,
        )

    def synchronize(self) -> None:
        """Returns when the device is idle."""
        devices.synchronize(self.device)

    def peak_bytes(self) -> int | None:
        """Largest device memory so far in bytes, on a GPU."""
        return devices.peak_bytes(self.device)

    def settings(self) -> dict[str, str]:
        """Effective settings for the ledger."""
        job, model = self._job, self._job.model
        types = {node.layer.type for node in model.walk()}
        found = {
            "engine": "Keras on TensorFlow",
            "threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
            "tf32": devices.tf32(self.device),
            "compiled": "XLA" if self._model.jit_compile else "tf.function",
            "memory format": "NHWC",
            "optimizer implementation": "one update per variable, unfused",
            "flush denormals": "yes",
            "deterministic kernels": "yes" if devices.deterministic(job, self.device) else "no",
            "onednn": devices.onednn(),
        }
        if "dropout" in types:
            found["dropout masks from"] = (
                "the framework" if job.dropout == "framework" else "nncompare"
            )
        if types & {"rnn", "lstm", "gru"}:
            found["recurrent kernel"] = self._recurrent_kernel(types)
        if "attention" in types:
            found["attention kernel"] = "einsum, softmax, einsum"
        return found | describe(job, native.semantics(job) if job.native else ALIGNED)

    def _recurrent_kernel(self, types: set[str]) -> str:
        fused = self.device.kind == "gpu" and not self._compiled and types & {"lstm", "gru"}
        return "cuDNN" if fused else "a loop over the steps"

    def close(self) -> None:
        """Drops the model, its compiled functions and its data."""
        self.__dict__ = {"device": self.device}
        keras.backend.clear_session(free_memory=True)


def _lowering(job: Job) -> Lowering:
    penalty = job.experiment.train.penalty
    if job.native:
        return Lowering(
            job=job,
            regularizer=native.regularizer(penalty),
            builders={**LOWERINGS, **native.LOWERINGS},
        )
    return Lowering(job=job, regularizer=regularizer(penalty), builders=LOWERINGS)


class _Pieces(keras.callbacks.Callback):
    """Ends Keras's epoch at the last step of the gate's piece and asks for the next piece.

    Keras reads ``stop_training`` after every step to leave the loop over batches, and once more
    after ``on_epoch_end`` to leave the loop over epochs. ``on_train_batch_begin`` gets no logs, so
    that overriding it costs one comparison a step; the iterator over the batches lives on from
    piece to piece.
    """

    def __init__(self, session: KerasSession, gate: Gate, piece: Piece):
        super().__init__()
        self._session, self._gate, self._piece = session, gate, piece
        self._last = piece.end - piece.begin - 1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == self._last:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._session.synchronize()
        self._gate.done(logs["loss"])
        following = self._gate.next()
        if following is None:
            return
        if following.begin != self._piece.end:
            raise RuntimeError(
                f"the gate handed out step {following.begin} after step {self._piece.end - 1}"
            )
        self._piece = following
        self._last = following.end - following.begin - 1
        self.model.stop_training = False


class _Masks(_Pieces):
    """The same, with the dropout masks of every step set before it."""

    def __init__(self, session: KerasSession, gate: Gate, piece: Piece, plan: BatchPlan):
        super().__init__(session, gate, piece)
        self._plan = plan

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        step = self._piece.begin + batch
        self._session._draw(step, len(self._plan.rows(step)))
        super().on_train_batch_begin(batch, logs)
