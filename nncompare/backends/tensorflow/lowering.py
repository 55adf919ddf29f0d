"""How a layer becomes a module: its variables under their canonical names, and one formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import tensorflow as tf

from nncompare.backends.registry import Registry
from nncompare.numerics.keys import generator
from nncompare.spec.layers import Layer
from nncompare.spec.model import Node

L = TypeVar("L", bound=Layer)
Builder = Callable[["Lowered[L]", tf.Tensor, "Pass"], tf.Tensor]
"""A lowering: the output ``(N, *node.output.shape)`` of a module for its input."""

UNSUPPORTED: dict[type[Layer], str] = {}
"""Layer -> why this backend lacks it. Nothing is missing."""
LOWERINGS: Registry[Layer, Builder[Any]] = Registry("tensorflow", UNSUPPORTED)


def lowering(kind: type[L], **defaults: Any) -> Callable[[Builder[L]], Builder[L]]:
    """Registers the lowering of a layer; ``defaults``: what TensorFlow code usually
    has for its open fields.
    """

    def register(builder: Builder[L]) -> Builder[L]:
        LOWERINGS.add(kind, builder, defaults)
        return builder

    return register


def native_lowering(kind: type[L], **defaults: Any) -> Callable[[Builder[L]], Builder[L]]:
    """Registers a layer as TensorFlow code usually has it, where that is another than its
    lowering.
    """

    def register(builder: Builder[L]) -> Builder[L]:
        LOWERINGS.add(kind, builder, defaults, native=True)
        return builder

    return register


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
    masks: dict[str, tf.Tensor] | None = None
    updates: list[tuple[tf.Variable, tf.Tensor]] = field(default_factory=list)
    outputs: dict[str, tf.Tensor] | None = None

    def keep(self, node: Node, x: tf.Tensor, rate: float, seed: int) -> tf.Tensor:
        """True where dropout keeps a value; shape of ``x``."""
        if self.masks is not None:
            return self.masks[node.name]
        # One stateless stream per node and step: no state to restore, the same masks in every run.
        key = tf.stack([tf.constant(seed, tf.int32), tf.cast(self.step, tf.int32)])
        return tf.random.stateless_uniform(tf.shape(x), key, dtype=tf.float32) >= rate


@dataclass(frozen=True, kw_only=True)
class Build:
    """What a lowering needs to know.

    Args:
        dtype: of every variable.
        seed: of the job.
        native: every layer as TensorFlow code usually has it.
        accelerator: True on GPU and TPU, where few large kernels matter more than the cache.
        compiled: True where XLA compiles the step.
    """

    dtype: tf.DType
    seed: int = 0
    native: bool = False
    accelerator: bool = False
    compiled: bool = False

    @property
    def fused_batch_norm(self) -> bool:
        """``FusedBatchNormV3`` has float32 only."""
        return bool(self.dtype == tf.float32)


class Lowered(tf.Module, Generic[L]):  # type: ignore[misc]  # TensorFlow is untyped
    """One node as a module.

    Args:
        node: layer, shapes, parameters.
        build: of the whole model.

    Attributes:
        weights: the node's own variables by their names inside it, all zero.
        children, shortcut: the modules inside a residual, else none.
    """

    def __init__(self, node: Node[L], build: Build):
        super().__init__()
        self.node = node
        self.layer = node.layer
        self.build = build
        self.formula: Builder[L] = LOWERINGS.find(type(node.layer), native=build.native)
        self.weights: dict[str, tf.Variable] = {}
        for item in node.parameters:
            self.weights[item.name] = tf.Variable(
                tf.zeros(item.shape, build.dtype),
                trainable=item.trainable,
                name=f"{node.name}.{item.name}",
            )
        self.children = lower_chain(node.children, build)
        self.shortcut = lower_chain(node.shortcut, build)

    def __call__(self, x: tf.Tensor, run: Pass) -> tf.Tensor:
        """``(N, *node.input.shape) -> (N, *node.output.shape)``."""
        y = self.formula(self, x, run)
        if run.outputs is not None:
            run.outputs[self.node.name] = y
        return y

    def constant(self, value: float) -> tf.Tensor:
        """``value`` in the model's dtype, never by way of float32."""
        return tf.constant(value, self.build.dtype)

    def stream(self) -> int:
        """Key of this node's random numbers."""
        drawn = generator(self.build.seed, f"tensorflow/{self.node.name}").integers(0, 2**31 - 1)
        return int(drawn)


def lower(node: Node[L], build: Build) -> Lowered[L]:
    """The module of a node, with those inside it; all weights zero.

    Raises:
        Unsupported: the backend lacks this layer, with the reason.
    """
    return Lowered(node, build)


def lower_chain(nodes: Sequence[Node], build: Build) -> list[Lowered[Any]]:
    """The modules of nodes in order."""
    return [lower(node, build) for node in nodes]


def walk(modules: Sequence[Lowered[Any]]) -> Iterator[Lowered[Any]]:
    """Every module with those inside it, in the order of ``Model.walk``."""
    for module in modules:
        yield module
        yield from walk(module.children)
        yield from walk(module.shortcut)


def forward(modules: Sequence[Lowered[Any]], x: tf.Tensor, run: Pass) -> tf.Tensor:
    """The modules one after the other; no module: ``x`` itself."""
    for module in modules:
        x = module(x, run)
    return x


def affine(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """``x W + b`` over the last axis as one matrix product. ``(…, in) -> (…, out)``."""
    shape = x.shape
    rows = x if shape.rank == 2 else tf.reshape(x, (-1, shape[-1]))
    y = tf.matmul(rows, kernel)
    y = y if bias is None else tf.nn.bias_add(y, bias)
    return y if shape.rank == 2 else tf.reshape(y, _with_last(shape, kernel.shape[-1]))


def _with_last(shape: tf.TensorShape, last: int) -> tuple[int, ...]:
    """``shape`` with another last axis; an unknown batch size becomes -1."""
    return tuple(-1 if size is None else size for size in (*shape[:-1], last))
