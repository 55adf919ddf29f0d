"""One model in TensorFlow operations, its data on the device, and its training loop.

The loop over a piece's steps is inside one ``tf.function``: measured on CPU against one call a
    step, an MLP step takes
0.82 of the time (a call costs about 0.3 ms there) and a CNN step 0.94. Batches have static sizes,
so that TensorFlow folds all shape arithmetic; the smaller last batch of an epoch has a trace of its
own, made once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nncompare.backends.base import EVALUATION_BATCH, Array, Gate, Params, Piece
from nncompare.backends.tensorflow import losses, native, optimizers
from nncompare.backends.tensorflow.device import Placement
from nncompare.backends.tensorflow.layers import chain, forward
from nncompare.backends.tensorflow.ledger import describe
from nncompare.backends.tensorflow.lowering import Context, Lowered, Pass
from nncompare.data.base import Data
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.masks import keep_mask
from nncompare.spec.job import Job
from nncompare.spec.model import Node

Tensor = tf.Tensor
Masks = tuple[Tensor, ...]


class TensorflowSession:
    """See ``backends.base.Session``.

    Args:
        job: what to run.
        data: its training part is staged on the device.
        placement: where.
    """

    def __init__(self, job: Job, data: Data, placement: Placement):
        self.job, self.placement, self.device = job, placement, placement.device
        self.compiled = job.mode == "xla"
        self.dtype = tf.as_dtype(job.dtype)
        self._train_spec = job.experiment.train
        self.model = job.model
        self._dropouts = [
            node for node in self.model.walk() if getattr(node.layer, "rate", 0.0) > 0
        ]
        accelerator = self.device.kind != "cpu"
        lowerings = native.LOWERINGS if job.native else {}
        context = Context(
            dtype=self.dtype,
            seed=job.seed,
            accelerator=accelerator,
            compiled=self.compiled,
            native=lowerings,
        )
        with placement.scope():
            self.modules = chain(self.model.nodes, context)
            self.weights = {
                f"{m.node.name}.{name}": w for m in self._walk() for name, w in m.weights.items()
            }
            self.trained = {
                name: w for name, w in self.weights.items() if self.model.parameters[name].trainable
            }
            self._penalized = [
                w for name, w in self.weights.items() if self.model.parameters[name].penalized
            ]
            if job.native:
                native.initialize(self._walk())
            build = native.V1Optimizer if job.native else optimizers.build
            self.optimizer = build(self._train_spec.optimizer, list(self.trained.values()))
            self._x, self._y = self._tensor(data.train.x), self._tensor(data.train.y)
        self._taken = 0
        self._epoch_order: tuple[tuple[int, int, int], Tensor] | None = None
        self._loops: dict[int, Callable[..., Tensor]] = {}
        self._longest: dict[str, int] = {}
        self._predict = self._function(self._infer, self._signature(None))
        self._outputs = self._function(self._observe)
        self._differentiate = self._function(self._loss_of_rows)

    def _walk(self) -> list[Lowered]:
        """Every module in the order of ``Model.walk``."""
        by_name = {
            sub.node.name: sub
            for m in self.modules
            for sub in (m, *m.submodules)
            if isinstance(sub, Lowered)
        }
        return [by_name[node.name] for node in self.model.walk()]

    def _tensor(self, array: Array) -> Tensor:
        return tf.constant(array, self.dtype if array.dtype.kind == "f" else self.placement.integer)

    def _signature(self, size: int | None) -> tf.TensorSpec:
        """Of one input batch."""
        x = self.model.input
        return tf.TensorSpec(
            (size, *x.shape), self.placement.integer if x.is_tokens else self.dtype
        )

    def _function(
        self, function: Callable[..., Any], *signature: tf.TensorSpec
    ) -> Callable[..., Any]:
        """A traced function, compiled by XLA where the runtime asks for it."""
        return tf.function(
            function, input_signature=signature or None, jit_compile=self.compiled or None
        )

    # -- weights
    # --------------------------------------------------------------------------------------------

    def load(self, params: Params) -> None:
        """Weights and running statistics := ``params``; optimizer state := 0."""
        if unknown := set(params) - set(self.weights):
            raise KeyError(f"parameters that the model lacks: {', '.join(sorted(unknown))}")
        with self.placement.scope():
            for name, weight in self.weights.items():
                if name in params or not self.job.native:
                    weight.assign(tf.constant(params[name], self.dtype))
            self.optimizer.reset()
        self._taken = 0

    def params(self) -> Params:
        """Copies of all weights and running statistics."""
        return {name: np.array(weight.numpy()) for name, weight in self.weights.items()}

    # -- forward and gradients
    # ------------------------------------------------------------------------------------

    def _infer(self, x: Tensor) -> Tensor:
        return forward(self.modules, x, Pass())

    def predict(self, x: Array) -> Array:
        """Outputs in inference mode, ``(N, *model.output.shape)``."""
        chunks = [
            x[begin : begin + EVALUATION_BATCH] for begin in range(0, len(x), EVALUATION_BATCH)
        ]
        found = [self.placement.run(self._predict, self._staged(chunk)).numpy() for chunk in chunks]
        return (
            np.concatenate(found)
            if found
            else np.empty((0, *self.model.output.shape), self.job.dtype)
        )

    def _staged(self, array: Array) -> Tensor:
        with self.placement.scope():
            return self._tensor(array)

    def _observe(self, x: Tensor, masks: Masks, training: bool) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        forward(self.modules, x, self._pass(training, 0, masks, found))
        return found

    def outputs(self, x: Array, *, training: bool = False) -> dict[str, Array]:
        """Node name -> its output for one batch, those inside a residual included."""
        masks = self._masks(0, len(x)) if training else ()
        found = self.placement.run(self._outputs, self._staged(x), masks, training)
        return {name: value.numpy() for name, value in found.items()}

    def _pass(
        self, training: bool, step: Any, masks: Masks, found: dict[str, Tensor] | None = None
    ) -> Pass:
        shared = (
            {node.name: mask for node, mask in zip(self._dropouts, masks, strict=True)}
            if masks
            else None
        )
        return Pass(training=training, step=step, masks=shared, outputs=found)

    def _masks(self, step: int, batch: int) -> Masks:
        """What every dropout keeps in one step, if masks are shared; else nothing."""
        if self.job.dropout == "framework":
            return ()

        def mask(node: Node) -> Tensor:
            shape = (batch, *node.output.shape)
            return tf.constant(keep_mask(self.job.seed, node.name, step, shape, node.layer.rate))

        with self.placement.scope():
            return tuple(mask(node) for node in self._dropouts)

    def _loss(self, x: Tensor, y: Tensor, run: Pass) -> Tensor:
        loss = losses.LOSSES[self.job.experiment.task](forward(self.modules, x, run), y)
        terms = native.penalty if self.job.native else losses.penalty
        penalty = terms(self._penalized, self._train_spec.penalty)
        return loss if penalty is None else loss + penalty

    def _gradients(
        self, rows: Tensor, run: Pass, *, sparse: bool = False
    ) -> tuple[Tensor, list[Any]]:
        """Loss of the training examples ``rows`` and its gradients, in the order of ``trained``;
        ``sparse``: those of tables as TensorFlow makes them.
        """
        weights = list(self.trained.values())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss = self._loss(tf.gather(self._x, rows), tf.gather(self._y, rows), run)
        found = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if sparse:
            return loss, found
        # A table's gradient is a list of rows in which a token may occur twice: they are summed
        # here.
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    def _loss_of_rows(self, rows: Tensor, masks: Masks) -> tuple[Tensor, list[Tensor]]:
        return self._gradients(rows, self._pass(True, 0, masks))

    def loss_and_gradients(self, rows: Array, step: int = 0) -> tuple[float, Params]:
        """Loss and its gradients for training examples, before clipping. Changes nothing."""
        loss, found = self.placement.run(
            self._differentiate, self._staged(rows), self._masks(step, len(rows))
        )
        return float(loss), {name: g.numpy() for name, g in zip(self.trained, found, strict=True)}

    def table_squares(self, rows: Array, step: int = 0) -> Params:
        """See ``backends.base.TokenwiseSession``."""
        with self.placement.scope():
            run = self._pass(True, 0, self._masks(step, len(rows)))
            _, gradients = self._gradients(self._staged(rows), run, sparse=True)
        found: Params = {}
        for name, gradient in zip(self.trained, gradients, strict=True):
            if isinstance(gradient, tf.IndexedSlices):
                count = self.trained[name].shape[0]
                squares = tf.square(gradient.values)
                found[name] = tf.math.unsorted_segment_sum(squares, gradient.indices, count).numpy()
        return found

    # -- training
    # --------------------------------------------------------------------------------------------

    def train(self, plan: BatchPlan, gate: Gate) -> None:
        """Runs the plan piece by piece."""
        table = self.optimizer.table(np.asarray(plan.learning_rate, np.float64), self._taken)
        rows = self._staged(self._padded("table", table))
        while (piece := gate.next()) is not None:
            total = sum(float(part) for part in self._run_piece(plan, piece, rows))
            self.synchronize()
            self._taken += piece.end - piece.begin
            gate.done(total / int(plan.sizes(piece.begin, piece.end).sum()))

    def _run_piece(self, plan: BatchPlan, piece: Piece, table: Tensor) -> list[Tensor]:
        """Sums over examples of the losses; one tensor a run of equal batches."""
        order = self._order(plan, piece.epoch)
        first = piece.epoch * plan.steps_per_epoch
        found = []
        for begin, count, size in self._runs(plan, piece):
            numbers = (
                tf.constant(n, tf.int32) for n in (begin, count, (begin - first) * plan.batch_size)
            )
            found.append(
                self.placement.run(
                    self._loop(size), order, table, *numbers, self._masks(begin, size)
                )
            )
        return found

    def _runs(self, plan: BatchPlan, piece: Piece) -> list[tuple[int, int, int]]:
        """First step, number of steps, examples a step: the full batches, then the smaller last
        batch of an epoch. With shared masks, which are made on the host, every step by itself.
        """
        sizes = plan.sizes(piece.begin, piece.end)
        if self._dropouts and self.job.dropout == "masks":
            return [(piece.begin + k, 1, int(size)) for k, size in enumerate(sizes)]
        full = int(np.count_nonzero(sizes == plan.batch_size))
        runs = [
            (piece.begin, full, plan.batch_size),
            (piece.begin + full, len(sizes) - full, int(sizes[-1])),
        ]
        return [run for run in runs if run[1]]

    def _order(self, plan: BatchPlan, epoch: int) -> Tensor:
        """Row numbers of one epoch on the device, uploaded once."""
        key = (plan.seed, plan.examples, epoch)
        if self._epoch_order is None or self._epoch_order[0] != key:
            self._epoch_order = key, self._staged(self._padded("order", plan.order(epoch)))
        return self._epoch_order[1]

    def _padded(self, kind: str, array: Array) -> Array:
        """The array, as long as the longest of its kind so far: a loop is traced for a length, and
        a parity check after the training, which takes seconds less without another trace, reads the
        first rows alone. (Traced for any length, a step of a small MLP takes 5 % more.)
        """
        longest = self._longest[kind] = max(self._longest.get(kind, 0), len(array))
        return np.concatenate(
            [array, np.zeros((longest - len(array), *array.shape[1:]), array.dtype)]
        )

    def _loop(self, size: int) -> Callable[..., Tensor]:
        """Runs ``count`` steps of ``size`` examples each, from step ``begin`` and place ``start``
        of the epoch's order; traced once per size. Gives the sum over examples of the losses,
        float64.
        """
        if size not in self._loops:
            step = tf.function(self._step, jit_compile=True) if self.compiled else self._step

            def loop(
                order: Tensor,
                table: Tensor,
                begin: Tensor,
                count: Tensor,
                start: Tensor,
                masks: Masks,
            ) -> Tensor:
                rows = tf.reshape(tf.slice(order, [start], [count * size]), (-1, size))
                scalars = tf.slice(table, [begin, 0], [count, table.shape[1]])
                total = tf.zeros([], tf.float64)
                for k in tf.range(count):
                    loss = step(tf.gather(rows, k), tf.gather(scalars, k), begin + k, masks)
                    total += tf.cast(loss, tf.float64)
                return total * size

            self._loops[size] = tf.function(loop)
        return self._loops[size]

    def _step(self, rows: Tensor, scalars: Tensor, step: Tensor, masks: Masks) -> Tensor:
        """One training step; its loss at the weights before it."""
        run = self._pass(True, step, masks)
        # XLA has no kernels for sparse updates
        loss, gradients = self._gradients(rows, run, sparse=self.job.native and not self.compiled)
        clip = native.clip if self.job.native else losses.clip
        gradients = clip(gradients, self._train_spec.clip_norm)
        self.optimizer.apply(gradients, tf.unstack(scalars, num=scalars.shape[0]))
        for running, value in run.updates:
            running.assign(value)
        return loss

    # -- the rest
    # --------------------------------------------------------------------------------------------

    def synchronize(self) -> None:
        """Returns when the device is idle."""
        self.placement.synchronize()

    def peak_bytes(self) -> int | None:
        """Largest memory so far on a GPU, in bytes; None on a CPU."""
        return self.placement.peak_bytes()

    def settings(self) -> dict[str, str]:
        """Effective settings for the ledger."""
        return describe(self.job, self.placement, self.optimizer)

    def close(self) -> None:
        """Drops the model, its traced functions and its data."""
        self.__dict__ = {"device": self.device}
        gc.collect()
