"""One Keras model on one device: ``Model.fit`` under a gate."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.base import Array, Device, Gate, Params, Piece
from nncompare.backends.engines.tensorflow.gradients import table_squares
from nncompare.backends.keras import optimizers, settings
from nncompare.backends.keras.losses import LOSSES, penalty
from nncompare.backends.keras.lowering import Build, lower_chain
from nncompare.backends.keras.pipeline import batches, stage
from nncompare.backends.session import BaseSession
from nncompare.data.base import Data
from nncompare.errors import Refused
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.job import Job


class KerasSession(BaseSession):
    """Fulfils ``backends.base.Session``: a compiled functional model with its data.

    Args:
        job: what is trained; ``keras:xla`` compiles the step.
        data: the training part is staged in the host's memory once.
        device: where.

    Raises:
        Refused: XLA was asked for, and Keras would train without it.
    """

    def __init__(self, job: Job, data: Data, device: Device):
        super().__init__(job, device)
        self._placement = settings.apply(job, device)
        self._train = data.cast(job.dtype).train
        compiled = job.mode == "xla"
        build = Build(
            dtype=job.dtype.name,
            seed=job.seed,
            native=job.native,
            compiled=compiled,
            masked=job.dropout == "masks",
            regularizer=penalty(job),
        )
        # TensorFlow's default place serves, unless a TPU's strategy has to be asked
        strategy = self._placement.strategy
        with contextlib.nullcontext() if strategy is None else strategy.scope():
            model = self._lowered(build)
            self._rates = optimizers.Table(job.dtype)
            self._optimizer = optimizers.build(job, self._rates)
            # its variables now, which ``load`` sets back before the first step
            self._optimizer.build(model.trainable_variables)
            # made after the dtype's policy is set, which a loss reads as well
            loss = LOSSES[job.experiment.task]()
            model.compile(self._optimizer, loss, jit_compile=compiled)
            if compiled and not model.jit_compile:
                raise Refused(
                    "Keras leaves XLA out here: a layer's kernel, or deterministic operations,"
                    " exclude it"
                )
            probe = keras.Model(model.inputs, build.outputs, name="outputs")
        self._model = model
        self._stored = build.stored
        self._dropouts = build.dropouts
        self._x = stage(self._train.x)
        self._y = stage(self._train.y)
        # batches of many sizes come here: one trace serves them all
        self._observe = tf.function(probe, jit_compile=compiled, reduce_retracing=True)
        self._differentiate = tf.function(
            self._dense_gradients, jit_compile=compiled, reduce_retracing=True
        )

    def _lowered(self, build: Build) -> Any:
        """The functional model, ``(N, *input) -> (N, *output)``."""
        x = self.model.input
        # without a dtype Keras would turn tokens into floats
        dtype = "int32" if x.is_tokens else build.dtype
        inputs = keras.Input(x.shape, dtype=dtype, name="input")
        return keras.Model(inputs, lower_chain(self.model.nodes, inputs, build), name="model")

    # --- weights

    def _names(self) -> Collection[str]:
        return self._stored

    def _read(self, name: str) -> Array:
        return self._stored[name].read()

    def _write(self, name: str, array: Array) -> None:
        self._stored[name].write(array)

    def _restart(self) -> None:
        # as when it was built
        for variable in self._optimizer.variables:
            variable.assign(tf.zeros(variable.shape, variable.dtype))

    # --- looking

    def _predict(self, chunks: list[Array]) -> Array:
        # costs a fifth of ``Model.predict``
        predict = self._model.predict_on_batch
        return np.concatenate([predict(self._input(x)) for x in chunks])

    def _input(self, x: Array) -> Array:
        return np.asarray(x, self._train.x.dtype)

    def _outputs(self, x: Array, training: bool) -> dict[str, Array]:
        found = self._observe(tf.constant(self._input(x)), training=training)
        return {name: value.numpy() for name, value in found.items()}

    def _loss_and_gradients(self, rows: Array, step: int) -> tuple[float, Params]:
        x, y = self._examples(rows)
        loss, gradients = self._differentiate(x, y)
        found: Params = {}
        for name, gradient in self._named(gradients):
            found[name] = self._stored[name].to_canonical(gradient.numpy())
        return float(loss), found

    def table_squares(self, rows: Array, step: int = 0) -> Params:
        """See ``backends.base.TokenwiseSession``."""
        with self._undisturbed(training=True, step=step, examples=len(rows)):
            _, gradients = self._gradients(*self._examples(rows))
        return table_squares(self._named(gradients))

    def _examples(self, rows: Array) -> tuple[Tensor, Tensor]:
        return tf.constant(self._train.x[rows]), tf.constant(self._train.y[rows])

    def _named(self, gradients: list[Any]) -> Iterator[tuple[str, Any]]:
        """The canonical name of every trained parameter with the gradient of its variable, which
        several may share.
        """
        variables = map(id, self._model.trainable_variables)
        by_variable = dict(zip(variables, gradients, strict=True))
        for name, stored in self._stored.items():
            # running statistics have none
            if id(stored.variable) in by_variable:
                yield name, by_variable[id(stored.variable)]

    def _gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, list[Any]]:
        """The loss and its gradients as the optimizer sees them: of a table row by row."""
        with tf.GradientTape() as tape:
            outputs = self._model(x, training=True)
            loss = self._model.compute_loss(x, y, outputs, training=True)
        return loss, tape.gradient(loss, self._model.trainable_variables)

    def _dense_gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        loss, gradients = self._gradients(x, y)
        # a table's is a list of rows in which a token may occur twice: they are summed here
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    @contextlib.contextmanager
    def _undisturbed(self, *, training: bool, step: int, examples: int) -> Iterator[None]:
        """Puts running statistics and random states back at the end. Training or inference mode is
        an argument of Keras's calls.
        """
        # Keras counts the states of its random generators among these variables
        kept = [(variable, variable.numpy()) for variable in self._model.non_trainable_variables]
        try:
            self.draw_masks(step, examples)
            yield
        finally:
            for variable, value in kept:
                variable.assign(value)

    def draw_masks(self, step: int, examples: int) -> None:
        """Sets the shared masks of one step."""
        for layer in self._dropouts:
            layer.draw(step, examples)

    # --- training

    def train(self, plan: BatchPlan, gate: Gate) -> None:
        """Runs the plan in one call of ``Model.fit``; an "epoch" of Keras is a piece of the
        gate.
        """
        piece = gate.next()
        if piece is None:
            return
        self._rates.start(plan.learning_rate, int(self._optimizer.iterations.numpy()))
        callback = _Masks(self, gate, piece, plan) if self._dropouts else _Pieces(self, gate, piece)
        # Both counts are upper limits: the callback ends each piece and the whole.
        self._model.fit(
            batches(self._x, self._y, plan),
            epochs=plan.steps,
            steps_per_epoch=plan.steps,
            callbacks=[callback],
            shuffle=False,  # the plan is the order
            verbose=0,
        )

    # --- the rest

    def synchronize(self) -> None:
        self._placement.synchronize()

    def peak_bytes(self) -> int | None:
        return self._placement.peak_bytes()

    def settings(self) -> dict[str, str]:
        return settings.describe(self.job, self._placement, self._model.jit_compile)

    def close(self) -> None:
        # the compiled functions hold the model, and the model them
        self.__dict__ = {"device": self.device}
        keras.backend.clear_session(free_memory=True)


class _Pieces(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Ends Keras's epoch at the last step of the gate's piece and asks for the next piece.

    Keras reads ``stop_training`` after every step to leave the loop over batches, and once more
    after ``on_epoch_end`` to leave the loop over epochs. ``on_train_batch_begin`` gets no logs, so
    that overriding it costs one comparison a step; the iterator over the batches lives on from
    piece to piece.
    """

    def __init__(self, session: KerasSession, gate: Gate, piece: Piece):
        super().__init__()
        self._session = session
        self._gate = gate
        self._piece = piece
        self._last = piece.end - piece.begin - 1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == self._last:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._session.synchronize()
        # Keras's mean over the piece's examples, penalties included
        self._gate.done(logs["loss"])
        following = self._gate.next()
        if following is None:
            return  # ``stop_training`` is still set, and ends the whole
        # the pipeline goes on where it is, whatever the gate says
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
        self._session.draw_masks(step, len(self._plan.rows(step)))
        super().on_train_batch_begin(batch, logs)
