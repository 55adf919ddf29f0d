"""One built model on one device, and its training loop.

The loop over a piece's steps is inside one ``tf.function``: measured on CPU against one call a
step, an MLP step takes 0.82 of the time (a call costs about 0.3 ms there) and a CNN step 0.94.
Batches have static sizes, so that TensorFlow folds all shape arithmetic; the smaller last batch of
an epoch has a trace of its own, made once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.base import Array, Device, Params, Piece
from nncompare.backends.engines.tensorflow.gradients import table_squares
from nncompare.backends.session import LoopSession
from nncompare.backends.tensorflow import optimizers, settings, start
from nncompare.backends.tensorflow.losses import LOSSES, penalty
from nncompare.backends.tensorflow.lowering import Build, Pass, forward, lower_chain, walk
from nncompare.backends.tensorflow.pipeline import Padding, Run, batches, stage
from nncompare.data.base import Data
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.masks import masks_of_step
from nncompare.spec.job import Job
from nncompare.spec.model import Node

_Masks = dict[str, Tensor]
"""Node name -> what its dropout keeps; empty: TensorFlow draws."""


class TensorflowSession(LoopSession):
    """Fulfils ``backends.base.Session``.

    Args:
        job: what is trained; ``tensorflow:xla`` compiles the step.
        data: the training part is staged on the device once.
        device: where.
    """

    def __init__(self, job: Job, data: Data, device: Device):
        super().__init__(job, device)
        self._placement = settings.apply(job, device)
        self._compiled = job.mode == "xla"
        self._dtype = tf.as_dtype(job.dtype)
        # the nodes whose shared masks are made on the host
        self._masked: list[Node] = []
        if job.dropout == "masks":
            self._masked = [node for node in self.model.walk() if node.layer.drop_rate]
        build = Build(
            dtype=self._dtype,
            seed=job.seed,
            native=job.native,
            accelerator=device.kind != "cpu",
            compiled=self._compiled,
        )
        with self._placement.scope():
            self._modules = lower_chain(self.model.nodes, build)
            self._name_weights()
            if job.native:
                start.initialize(walk(self._modules))
            self._optimizer = optimizers.build(job, list(self._trained.values()))
        self._x = self._staged(data.train.x)
        self._y = self._staged(data.train.y)
        self._task_loss = LOSSES[job.experiment.task]
        self._penalty = penalty(job) if self._penalized else None
        self._clip = optimizers.clip(job)
        # steps since the optimizer was fresh, which its corrections count
        self._taken = 0
        # of the epoch and of the plan that are being trained
        self._order: Tensor = None
        self._table: Tensor = None
        self._order_padding = Padding()
        self._table_padding = Padding()
        # one for each number of examples a step: the full batches, the smaller last one
        self._loops: dict[int, Callable[..., Tensor]] = {}
        self._predict_batch = self._function(self._infer, self._input_of_any_size())
        self._observe_batch = self._function(self._observe)
        self._differentiate_rows = self._function(self._differentiate)

    def _name_weights(self) -> None:
        """The model's variables by their canonical names: all, those trained, those penalized."""
        self._weights: dict[str, tf.Variable] = {}
        self._trained: dict[str, tf.Variable] = {}
        self._penalized: list[tf.Variable] = []
        for module in walk(self._modules):
            for own_name, weight in module.weights.items():
                name = f"{module.node.name}.{own_name}"
                self._weights[name] = weight
                if self._parameters[name].trainable:
                    self._trained[name] = weight
                if self._parameters[name].penalized:
                    self._penalized.append(weight)

    def _staged(self, array: Array) -> Tensor:
        return stage(array, self._placement, self._dtype)

    def _input_of_any_size(self) -> tf.TensorSpec:
        """One input batch, so that prediction is traced once."""
        x = self.model.input
        dtype = self._placement.integer if x.is_tokens else self._dtype
        return tf.TensorSpec((None, *x.shape), dtype)

    def _function(
        self, function: Callable[..., Any], *signature: tf.TensorSpec
    ) -> Callable[..., Any]:
        """A traced function, compiled by XLA where the runtime asks for it."""
        traced: Callable[..., Any] = tf.function(
            function, input_signature=signature or None, jit_compile=self._compiled or None
        )
        return traced

    # --- weights

    def _names(self) -> Collection[str]:
        return self._weights

    def _read(self, name: str) -> Array:
        return np.array(self._weights[name].numpy())

    def _write(self, name: str, array: Array) -> None:
        with self._placement.scope():
            self._weights[name].assign(tf.constant(array, self._dtype))

    def _restart(self) -> None:
        with self._placement.scope():
            self._optimizer.reset()
        self._taken = 0

    # --- looking

    def _predict(self, chunks: list[Array]) -> Array:
        found = [self._placement.run(self._predict_batch, self._staged(x)).numpy() for x in chunks]
        return np.concatenate(found)

    def _infer(self, x: Tensor) -> Tensor:
        return forward(self._modules, x, Pass())

    def _outputs(self, x: Array, training: bool) -> dict[str, Array]:
        masks = self._masks(0, len(x)) if training else {}
        found = self._placement.run(self._observe_batch, self._staged(x), masks, training)
        return {name: value.numpy() for name, value in found.items()}

    def _observe(self, x: Tensor, masks: _Masks, training: bool) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        forward(self._modules, x, Pass(training=training, masks=masks, outputs=found))
        return found

    def _loss_and_gradients(self, rows: Array, step: int) -> tuple[float, Params]:
        loss, gradients = self._placement.run(
            self._differentiate_rows, self._staged(rows), self._masks(step, len(rows))
        )
        named = zip(self._trained, gradients, strict=True)
        return float(loss), {name: gradient.numpy() for name, gradient in named}

    def table_squares(self, rows: Array, step: int = 0) -> Params:
        """See ``backends.base.TokenwiseSession``."""
        with self._placement.scope():
            run = Pass(training=True, masks=self._masks(step, len(rows)))
            _, gradients = self._gradients(self._staged(rows), run, sparse=True)
        return table_squares(zip(self._trained, gradients, strict=True))

    def _differentiate(self, rows: Tensor, masks: _Masks) -> tuple[Tensor, list[Tensor]]:
        return self._gradients(rows, Pass(training=True, masks=masks))

    def _masks(self, step: int, examples: int) -> _Masks:
        """What every dropout keeps in one step, if masks are shared."""
        found: _Masks = {}
        if not self._masked:
            return found
        draw = masks_of_step(self.model, self.job.seed, step)
        with self._placement.scope():
            for node in self._masked:
                mask = draw(node.name, (examples, *node.output.shape))
                found[node.name] = tf.constant(mask)
        return found

    def _loss(self, x: Tensor, y: Tensor, run: Pass) -> Tensor:
        loss = self._task_loss(forward(self._modules, x, run), y)
        return loss if self._penalty is None else loss + self._penalty(self._penalized)

    def _gradients(
        self, rows: Tensor, run: Pass, *, sparse: bool = False
    ) -> tuple[Tensor, list[Any]]:
        """Loss of the training examples ``rows`` and its gradients, in the order of the trained
        weights; ``sparse``: those of tables as TensorFlow makes them.
        """
        weights = list(self._trained.values())
        # what is held fixed is not differentiated
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss = self._loss(tf.gather(self._x, rows), tf.gather(self._y, rows), run)
        # a weight that the loss does not reach has zeros, where TensorFlow would give None
        found = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if sparse:
            return loss, found
        # A table's gradient is a list of rows in which a token may occur twice: they are summed
        # here.
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    # --- training

    def _begin(self, plan: BatchPlan) -> None:
        table = self._optimizer.table(np.asarray(plan.learning_rate, np.float64), self._taken)
        self._table = self._staged(self._table_padding.pad(table))

    def _begin_epoch(self, plan: BatchPlan, epoch_index: int) -> None:
        self._order = self._staged(self._order_padding.pad(plan.order(epoch_index)))

    def _run(self, plan: BatchPlan, piece: Piece) -> float:
        # shared masks are made for one step at a time
        runs = batches(plan, piece, single=bool(self._masked))
        parts = [self._run_loop(plan, piece, run) for run in runs]
        self._taken += piece.end - piece.begin
        # all parts have been started before the first is waited for
        total = sum(float(part) for part in parts)
        return total / int(plan.sizes(piece.begin, piece.end).sum())

    def _run_loop(self, plan: BatchPlan, piece: Piece, run: Run) -> Tensor:
        """Steps of equal batches: the sum over examples of their losses."""
        first = piece.epoch_index * plan.steps_per_epoch
        start_in_order = (run.begin - first) * plan.batch_size
        return self._placement.run(
            self._loop(run.size),
            self._order,
            self._table,
            # tensors, since every new Python number would be a new trace
            tf.constant(run.begin, tf.int32),
            tf.constant(run.steps, tf.int32),
            tf.constant(start_in_order, tf.int32),
            self._masks(run.begin, run.size),
        )

    def _loop(self, size: int) -> Callable[..., Tensor]:
        """Runs ``count`` steps of ``size`` examples each, from step ``begin`` and place ``start``
        of the epoch's order; traced once per size. Gives the sum over examples of the losses,
        float64.
        """
        if size in self._loops:
            return self._loops[size]
        # XLA compiles the step alone: the loop's slices have no fixed size
        step = tf.function(self._step, jit_compile=True) if self._compiled else self._step

        def loop(
            order: Tensor,
            table: Tensor,
            begin: Tensor,
            count: Tensor,
            start: Tensor,
            masks: _Masks,
        ) -> Tensor:
            rows = tf.reshape(tf.slice(order, [start], [count * size]), (-1, size))
            scalars = tf.slice(table, [begin, 0], [count, table.shape[1]])
            total = tf.zeros([], tf.float64)
            for k in tf.range(count):
                loss = step(tf.gather(rows, k), tf.gather(scalars, k), begin + k, masks)
                # thousands of losses lose digits in a float32 sum
                total += tf.cast(loss, tf.float64)
            return total * size

        self._loops[size] = tf.function(loop)
        return self._loops[size]

    def _step(self, rows: Tensor, scalars: Tensor, step: Tensor, masks: _Masks) -> Tensor:
        """One training step; its loss at the weights before it."""
        run = Pass(training=True, step=step, masks=masks)
        # XLA has no kernels for sparse updates
        sparse = self.job.native and not self._compiled
        loss, gradients = self._gradients(rows, run, sparse=sparse)
        if self._clip is not None:
            gradients = self._clip(gradients)
        self._optimizer.apply(gradients, tf.unstack(scalars, num=scalars.shape[0]))
        for running, value in run.updates:
            running.assign(value)
        return loss

    # --- the rest

    def synchronize(self) -> None:
        self._placement.synchronize()

    def peak_bytes(self) -> int | None:
        return self._placement.peak_bytes()

    def settings(self) -> dict[str, str]:
        return settings.describe(self.job, self._placement, self._optimizer.implementation)

    def close(self) -> None:
        # the traced functions hold the model, and the model them
        self.__dict__ = {"device": self.device}
        gc.collect()
