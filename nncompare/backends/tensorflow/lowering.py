"""What the layers share: one forward pass, and the base of every layer's module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from nncompare.numerics.keys import generator
from nncompare.spec.model import Node

Tensor = tf.Tensor


@dataclass(kw_only=True)
class Pass:
    """One forward pass.

    Args:
        training: batch statistics and dropout.
        step: of the whole training, integer scalar; keys the framework's own dropout.
        masks: node name -> what dropout keeps; None: TensorFlow draws.
        updates: filled with (running statistic, its new value); the training step assigns them.
        outputs: if given, filled with node name -> output.
    """

    training: bool = False
    step: Any = 0
    masks: dict[str, Tensor] | None = None
    updates: list[tuple[tf.Variable, Tensor]] = field(default_factory=list)
    outputs: dict[str, Tensor] | None = None

    def keep(self, node: Node, x: Tensor, rate: float, seed: int) -> Tensor:
        """True where dropout keeps a value; shape of ``x``."""
        if self.masks is not None:
            return self.masks[node.name]
        # One stateless stream per node and step: no state to restore, the same masks in every run.
        key = tf.stack([tf.constant(seed, tf.int32), tf.cast(self.step, tf.int32)])
        return tf.random.stateless_uniform(tf.shape(x), key, dtype=tf.float32) >= rate


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a lowering needs to know.

    Args:
        dtype: of every variable.
        seed: of the job.
        accelerator: True on GPU and TPU, where few large kernels matter more than the cache.
        compiled: True where XLA compiles the step.
        native: layer type -> its module where that differs in the native convention; empty in the
            aligned one.
    """

    dtype: tf.DType
    seed: int = 0
    accelerator: bool = False
    compiled: bool = False
    native: Mapping[str, Callable[[Node, Context], Lowered]] = field(default_factory=dict)

    @property
    def fused_batch_norm(self) -> bool:
        """``FusedBatchNormV3`` has float32 only."""
        return self.dtype == tf.float32


class Lowered(tf.Module):
    """One node as a module: its variables under their canonical names, and ``compute``.

    Args:
        node: layer, shapes, parameters.
        context: of the whole model.
    """

    def __init__(self, node: Node, context: Context):
        super().__init__()
        self.node, self.layer, self.context = node, node.layer, context
        self.weights: dict[str, tf.Variable] = {
            item.name: tf.Variable(
                tf.zeros(item.shape, context.dtype),
                trainable=item.trainable,
                name=f"{node.name}.{item.name}",
            )
            for item in node.parameters
        }

    def __call__(self, x: Tensor, run: Pass) -> Tensor:
        """``(N, *node.input.shape) -> (N, *node.output.shape)``."""
        y = self.compute(x, run)
        if run.outputs is not None:
            run.outputs[self.node.name] = y
        return y

    def compute(self, x: Tensor, run: Pass) -> Tensor:
        """The layer's formula."""
        raise NotImplementedError

    def constant(self, value: float) -> Tensor:
        """``value`` in the model's dtype, never by way of float32."""
        return tf.constant(value, self.context.dtype)

    def stream(self) -> int:
        """Key of this node's random numbers."""
        return int(
            generator(self.context.seed, f"tensorflow/{self.node.name}").integers(0, 2**31 - 1)
        )


def affine(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """``x W + b`` over the last axis as one matrix product. ``(…, in) -> (…, out)``."""
    shape = x.shape
    rows = x if shape.rank == 2 else tf.reshape(x, (-1, shape[-1]))
    y = tf.matmul(rows, kernel)
    y = y if bias is None else tf.nn.bias_add(y, bias)
    return y if shape.rank == 2 else tf.reshape(y, shape_of(shape, kernel.shape[-1]))


def shape_of(shape: tf.TensorShape, *last: int) -> tuple[int, ...]:
    """``shape`` with its last axis replaced by ``last``; an unknown batch size becomes -1."""
    return tuple(-1 if size is None else size for size in (*shape[:-1], *last))


def count(x: Tensor) -> int | None:
    """Values per channel if the batch size is known when tracing."""
    sizes = x.shape[:-1].as_list()
    return None if None in sizes else int(np.prod(sizes))
